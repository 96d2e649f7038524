"""A key that stays in AWS KMS, played by moto: DER, high s and the missing parity are settled before anyone looks."""

import asyncio
import sys

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from moto import mock_aws

from issuer.chain import awskms
from issuer.chain.signer import CURVE_ORDER, LocalSigner, checked_sign
from issuer.chain.signers import load_signers
from issuer.errors import SettingsError, SignerFailed
from issuer.secrets import KeySource, Secret

MESSAGE = b"\x02 what a key is to sign"
REGION = "eu-central-1"
STRANGER = "0x" + "11" * 20


@pytest.fixture
def kms(monkeypatch):
    """moto hashes a digest again, as it says itself (5.2.5); here it signs 32 bytes as they are, as KMS does."""

    def sign(key, message, signing_algorithm):
        assert len(message) == 32
        return key.private_key.sign(message, ec.ECDSA(Prehashed(SHA256())))

    monkeypatch.setattr("moto.kms.utils.ECDSAPrivateKey.sign", sign)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield boto3.client("kms")


def new_key(kms):
    return kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")["KeyMetadata"]


def load(where):
    source = KeySource(
        prefix="CLAIMWRIGHT_SENDER", keystore=None, password=None, key=None, remote=Secret(f"aws-kms:{where}")
    )
    (signer,) = load_signers(source, chain_ids=[1])
    return signer


async def test_signatures_recover_to_the_keys_address_whatever_their_s_was(kms):
    key = new_key(kms)
    (address,) = await awskms.addresses("x", key["KeyId"])
    signer = load(f"{key['KeyId']}/{address}")
    high = 0
    sign = signer._client.sign

    def counted(**question):
        nonlocal high
        answer = sign(**question)
        high += decode_dss_signature(answer["Signature"])[1] > CURVE_ORDER // 2
        return answer

    signer._client.sign = counted
    messages = [MESSAGE + bytes([number]) for number in range(40)]
    await asyncio.gather(*(checked_sign(signer, message) for message in messages))
    assert 0 < high < 40  # both kinds were there
    await signer.aclose()


@pytest.mark.parametrize("by", ["KeyId", "Arn", "alias"])
async def test_a_key_is_named_by_id_arn_or_alias(kms, by):
    key = new_key(kms)
    kms.create_alias(AliasName="alias/claims", TargetKeyId=key["KeyId"])
    where = "alias/claims" if by == "alias" else key[by]
    (address,) = await awskms.addresses("x", where)
    signer = load(f"{where}/{address}")
    assert signer.address == address
    await checked_sign(signer, MESSAGE)
    await signer.aclose()


async def test_another_keys_signature_is_refused(kms):
    signer = load(f"{new_key(kms)['KeyId']}/{STRANGER}")
    with pytest.raises(SignerFailed, match="another key"):
        await checked_sign(signer, MESSAGE)
    await signer.aclose()


async def test_a_key_that_is_gone_is_told_by_the_errors_class_alone(kms):
    signer = load(f"alias/none/{STRANGER}")
    with pytest.raises(SignerFailed, match="NotFoundException") as caught:
        await checked_sign(signer, MESSAGE)
    assert "alias/none" not in caught.value.message
    await signer.aclose()


async def test_a_slow_kms_is_given_up_and_holds_nobody_else(kms):
    signer = load(f"{new_key(kms)['KeyId']}/{STRANGER}")
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    signer._client.sign = lambda **_: asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
    with pytest.raises(SignerFailed, match="TimeoutError"):
        await checked_sign(signer, MESSAGE, timeout_seconds=0.05)
    release.set()
    await signer.aclose()


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(SettingsError, match=r"install `claimwright\[aws\]`"):
        load(f"alias/claims/{LocalSigner(bytes([7]) * 32).address}")


def test_without_a_region_it_says_so(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(SettingsError, match="region"):
        load(f"alias/claims/{STRANGER}")
