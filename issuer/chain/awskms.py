"""A key that stays in AWS KMS (`ECC_SECG_P256K1`). Needs `claimwright[aws]`.

KMS signs a digest as it is (`MessageType=DIGEST`) and answers in DER, with high s about half of the time and without
saying which of the two possible keys it was: both are settled here.

Source: AWS KMS API reference, `Sign`; SEC 1 sections 4.1.3 and C.5; EIP-2.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import coincurve
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from issuer.chain.signer import CURVE_ORDER, Signature, address_of, recovered
from issuer.errors import SettingsError, SignerFailed

CONNECT_SECONDS, READ_SECONDS = 3, 5
PARALLEL = 16  # signatures of a batch are asked for at once; KMS takes tens of milliseconds for each


class AwsKmsSigner:
    """`client` is boto3's for KMS. Its calls block, so they run in threads of their own, which a stuck KMS may fill."""

    def __init__(self, client: Any, key_id: str, address: str) -> None:  # noqa: ANN401 - boto3 has no types
        self._client = client
        self._key_id = key_id
        self._address = address
        self._threads = ThreadPoolExecutor(PARALLEL, thread_name_prefix="aws-kms")

    @property
    def address(self) -> str:
        return self._address

    def __repr__(self) -> str:
        return f"AwsKmsSigner({self._address})"

    async def aclose(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def sign_digest(self, digest: bytes, message: bytes) -> Signature:
        """Raises botocore's errors."""
        der = await asyncio.get_running_loop().run_in_executor(self._threads, self._sign, digest)
        r, s = decode_dss_signature(der)
        s = min(s, CURVE_ORDER - s)  # EIP-2; both are signatures of the same digest by the same key
        guesses = (Signature(r=r, s=s, y_parity=parity) for parity in (0, 1))
        ours = (guess for guess in guesses if recovered(digest, guess) == self._address)
        return next(ours, Signature(r=r, s=s, y_parity=0))  # another key's is for the caller to refuse

    def _sign(self, digest: bytes) -> bytes:
        answer = self._client.sign(
            KeyId=self._key_id, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
        )
        return bytes(answer["Signature"])


def aws_kms(name: str, where: str, address: str) -> AwsKmsSigner:
    """From a setting; `where` is a key's id, alias or ARN. Raises `SettingsError(name)`. Asks AWS nothing."""
    return AwsKmsSigner(_client(name, where), where, address)


async def addresses(name: str, where: str) -> list[str]:
    """Asks AWS whose key it is, and waits. Raises `SignerFailed`, and `SettingsError(name)` for lack of a setting."""
    client, failure = _client(name, where), ""
    try:
        key = load_der_public_key(client.get_public_key(KeyId=where)["PublicKey"])
    except Exception as error:  # botocore's classes are made at run time
        failure = type(error).__name__
    finally:
        client.close()
    if failure:
        raise SignerFailed(f"AWS KMS did not give the public key ({failure})")
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256K1):
        raise SignerFailed("the key is not of spec ECC_SECG_P256K1")
    return [address_of(coincurve.PublicKey(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)))]


def _client(name: str, where: str) -> Any:  # noqa: ANN401
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise SettingsError(name, "names a key in AWS KMS; install `claimwright[aws]`") from None
    for noisy in ("boto3", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    region = where.split(":")[3] if where.startswith("arn:") and where.count(":") >= 5 else None
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=PARALLEL,
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    try:
        return boto3.client("kms", region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(name, f"names a key in AWS KMS, whose settings are not complete: {error}") from None
