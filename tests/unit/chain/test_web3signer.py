"""A key behind Web3Signer: its signature is used when it is right, and named when it is not."""

import asyncio
import traceback

import coincurve
import pytest

from issuer.chain import web3signer as module
from issuer.chain.signer import LocalSigner, checked_sign
from issuer.chain.signers import load_signers, remote_keys
from issuer.chain.web3signer import Web3Signer
from issuer.errors import SettingsError, SignerFailed
from issuer.secrets import KeySource, Secret
from tests.web3signer import Web3SignerServer, high_s, honest

KEY, OTHER = bytes(range(1, 33)), bytes([7]) * 32
ADDRESS = LocalSigner(KEY).address
MESSAGE = b"\x02 what a key is to sign"


@pytest.fixture
async def service():
    async with Web3SignerServer([OTHER, KEY]) as server:
        yield server


@pytest.fixture
async def signer(service):
    signer = Web3Signer(Secret(service.url), ADDRESS, timeout_seconds=0.5)
    yield signer
    await signer.aclose()


async def refusal(signer, **options):
    with pytest.raises(SignerFailed) as caught:
        await checked_sign(signer, MESSAGE, **options)
    return caught.value.message


async def test_it_signs_with_the_key_of_its_address(service, signer):
    assert await checked_sign(signer, MESSAGE) == await checked_sign(LocalSigner(KEY), MESSAGE)
    await checked_sign(signer, MESSAGE)
    assert [line.split("/")[0] for line in service.seen] == ["GET ", "POST ", "POST "]  # the key is looked up once


async def test_an_answer_in_quotes_or_with_a_parity_is_read_too(service, signer):
    service.answer = lambda signature: (
        200,
        b'"0x' + signature[:64].hex().encode() + b"0%d" % (signature[64] - 27) + b'"\n',
    )
    await checked_sign(signer, MESSAGE)


async def test_another_keys_signature_is_refused_and_the_next_right_one_is_used(service, signer):
    service.signs_with = coincurve.PrivateKey(OTHER)
    assert "another key" in await refusal(signer)
    service.signs_with = None
    await checked_sign(signer, MESSAGE)


async def test_high_s_is_refused(service, signer):
    service.answer = high_s
    assert "not canonical" in await refusal(signer)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: (200, b""), "no signature"),
        (lambda _: (200, b"0x1234"), "no signature"),
        (lambda _: (200, b"<html>"), "no signature"),
        (lambda _: (200, b"\xff" * 132), "no signature"),
        (lambda signature: honest(signature[:64] + b"\x05"), "not canonical"),
        (lambda signature: honest(bytes(64) + signature[64:]), "not canonical"),
        (lambda _: (500, b""), "HTTP status 500"),
        (lambda _: (302, b""), "HTTP status 302"),
        (lambda _: (200, b"x" * (module.MAX_ANSWER_BYTES + 1)), "too long"),
    ],
)
async def test_anything_but_a_signature_is_named(service, signer, answer, said):
    service.answer = answer
    assert said in await refusal(signer)


@pytest.mark.parametrize(
    ("lists", "said"),
    [(b"[]", "does not hold this key"), (b"{}", "list of keys"), (b'["0x12", "x"]', "hold"), (b"\xff", "list of keys")],
)
async def test_a_list_without_the_key_is_named(service, signer, lists, said):
    service.lists = lists
    assert said in await refusal(signer)


async def test_keys_that_moved_are_looked_up_again(service, signer):
    await checked_sign(signer, MESSAGE)
    keys, service.keys = service.keys, []
    assert "HTTP status 404" in await refusal(signer)
    service.keys = keys
    await checked_sign(signer, MESSAGE)


async def test_a_service_that_says_nothing_or_is_gone_is_given_up(service, signer):
    service.silent = True
    async with asyncio.timeout(5):
        assert "no complete answer" in await refusal(signer)
        assert "TimeoutError" in await refusal(signer, timeout_seconds=0.05)
    service._server.close()
    assert "no complete answer" in await refusal(signer)


async def test_neither_url_nor_password_is_shown(service):
    url = service.url.replace("http://", "http://user:very-secret@")
    (signer,) = load_signers(
        KeySource(
            prefix="CLAIMWRIGHT_SENDER",
            keystore=None,
            password=None,
            key=None,
            remote=Secret(f"web3signer:{url}/{ADDRESS}"),
        ),
        chain_ids=[1],
    )
    assert signer.address == ADDRESS
    await checked_sign(signer, MESSAGE)
    service._server.close()
    with pytest.raises(SignerFailed) as caught:
        await checked_sign(signer, MESSAGE)
    shown = "".join(traceback.format_exception(caught.value)) + repr(signer)
    assert "very-secret" not in shown
    assert "127.0.0.1" not in shown
    await signer.aclose()


@pytest.mark.parametrize("url", ["http://signer.internal", "ftp://127.0.0.1", "https://", "signer", "http://[x"])
def test_a_place_that_is_not_safe_is_refused_unquoted(url):
    source = KeySource(
        prefix="CLAIMWRIGHT_SENDER",
        keystore=None,
        password=None,
        key=None,
        remote=Secret(f"web3signer:{url}/{ADDRESS}"),
    )
    with pytest.raises(SettingsError) as caught:
        load_signers(source, chain_ids=[1])
    assert str(caught.value) == "CLAIMWRIGHT_SENDER_REMOTE: does not name an https URL (http only for loopback)"


async def test_a_place_lists_its_keys_by_the_names_that_settings_want(service):
    place = f"web3signer:{service.url}"
    assert await remote_keys(place) == sorted(f"{place}/{LocalSigner(key).address}" for key in (KEY, OTHER))
    service.keys = []
    assert await remote_keys(place) == []


async def test_a_place_of_an_unknown_kind_is_refused():
    with pytest.raises(SettingsError, match="place: starts with none of aws-kms:, web3signer:"):
        await remote_keys("vault:x")
