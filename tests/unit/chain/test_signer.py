"""Nothing that a signer returns is believed, and no key is ever shown."""

import asyncio

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain.signer import CURVE_ORDER, SIGNED_TOGETHER, LocalSigner, Signature, checked_sign, checked_sign_all
from issuer.errors import SignerFailed

KEY = bytes(range(1, 33))
MESSAGE = b"\x02 what a key is to sign"


class Faulty:
    """Answers for KEY's address with whatever a test wants."""

    address = LocalSigner(KEY).address

    def __init__(self, answer):
        self._answer = answer

    async def sign_digest(self, digest, message):
        return await self._answer(message)


async def good(message):
    return await LocalSigner(KEY).sign_digest(keccak(message), message)


@given(st.binary(max_size=100))
async def test_a_local_signature_is_canonical_and_recovers(message):
    signature = await checked_sign(LocalSigner(KEY), message)
    assert 0 < signature.s <= CURVE_ORDER // 2
    assert signature.y_parity in (0, 1)


@pytest.mark.failure("F16")
async def test_high_s_is_refused_though_it_recovers():
    low = await good(MESSAGE)

    async def answer(_):
        return Signature(low.r, CURVE_ORDER - low.s, 1 - low.y_parity)

    with pytest.raises(SignerFailed, match="not canonical"):
        await checked_sign(Faulty(answer), MESSAGE)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: Signature(0, s.s, s.y_parity),
        lambda s: Signature(s.r, 0, s.y_parity),
        lambda s: Signature(CURVE_ORDER, s.s, s.y_parity),
        lambda s: Signature(-1, s.s, s.y_parity),
        lambda s: Signature(s.r, s.s, 27 + s.y_parity),
        lambda s: Signature(s.r, s.s, 1 - s.y_parity),
        lambda s: Signature(s.r ^ 1, s.s, s.y_parity),
        lambda s: Signature(s.r, s.s ^ 1, s.y_parity),
    ],
)
async def test_a_changed_signature_is_refused(change):
    signature = await good(MESSAGE)

    async def answer(_):
        return change(signature)

    with pytest.raises(SignerFailed):
        await checked_sign(Faulty(answer), MESSAGE)


@pytest.mark.failure("F16")
async def test_another_key_is_refused():
    async def answer(message):
        return await LocalSigner(bytes([7]) * 32).sign_digest(keccak(message), message)

    with pytest.raises(SignerFailed, match="another key"):
        await checked_sign(Faulty(answer), MESSAGE)


@pytest.mark.failure("F16")
async def test_a_signature_of_something_else_is_refused():
    async def answer(_):
        return await good(bytes(32))

    with pytest.raises(SignerFailed, match="something else"):
        await checked_sign(Faulty(answer), MESSAGE)


@pytest.mark.failure("F16")
async def test_a_slow_signer_is_given_up():
    async def answer(_):
        await asyncio.Event().wait()

    with pytest.raises(SignerFailed, match="TimeoutError"):
        await checked_sign(Faulty(answer), MESSAGE, timeout_seconds=0.01)


@pytest.mark.failure("F16")
async def test_a_failing_signer_is_told_by_its_class_alone():
    async def answer(_):
        raise RuntimeError(KEY.hex())

    with pytest.raises(SignerFailed) as failure:
        await checked_sign(Faulty(answer), MESSAGE)
    assert "RuntimeError" in failure.value.message
    assert KEY.hex() not in failure.value.message
    assert failure.value.__context__ is None


def test_a_signer_shows_its_address_alone():
    shown = repr(LocalSigner(KEY)) + str(LocalSigner(KEY))
    assert LocalSigner(KEY).address in shown
    assert KEY.hex() not in shown


@pytest.mark.parametrize("key", [bytes(32), CURVE_ORDER.to_bytes(32, "big"), bytes(31), bytes([1]) * 33])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(ValueError):  # noqa: PT011 - coincurve's own words
        LocalSigner(key)


async def test_many_are_signed_in_order_and_a_few_at_once_elsewhere() -> None:
    at_once, most = 0, 0

    async def remote(message):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return await good(message)

    messages = [bytes([number]) for number in range(SIGNED_TOGETHER + 3)]
    local = await checked_sign_all(LocalSigner(KEY), messages)
    assert local == [await checked_sign(LocalSigner(KEY), message) for message in messages]
    assert await checked_sign_all(Faulty(remote), messages) == local
    assert most == SIGNED_TOGETHER
    assert await checked_sign_all(LocalSigner(KEY), []) == []


async def test_one_bad_signature_among_many_is_refused() -> None:
    async def sometimes(message):
        key = KEY if message != b"7" else bytes([9]) * 32
        return await LocalSigner(key).sign_digest(keccak(message), message)

    with pytest.raises(SignerFailed, match="another key"):
        await checked_sign_all(Faulty(sometimes), [str(number).encode() for number in range(10)])


async def test_a_key_in_this_process_is_believed_no_more_than_one_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    other = LocalSigner(bytes([8]) * 32)
    monkeypatch.setattr(LocalSigner, "sign", lambda _, digest: Signature(*_parts(other, digest)))
    with pytest.raises(SignerFailed, match="another key"):
        await checked_sign_all(LocalSigner(KEY), [b"one", b"two"])


def _parts(signer: LocalSigner, digest: bytes) -> tuple[int, int, int]:
    compact = signer._key.sign_recoverable(digest, hasher=None)
    return int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:64], "big"), compact[64]
