"""The hosted form: claim words at the ClaimIssuer itself, in batches that a claim signer has authorised."""

import itertools
import secrets
from collections.abc import Sequence

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from issuer.chain.gateway import Receipt
from issuer.chain.signer import checked_sign
from issuer.claims.rules import Word, compact_signature, domain_separator
from scripts.anvil import CHAIN_ID
from tests.integration.contracts.evm import Contract, ours
from tests.integration.contracts.ourselves import TOPIC, Ourselves

HOSTS = Contract("", ours("ClaimIssuer").abi).knows("issue")  # whether these contracts have the form at all
_HOUR = 3600
_WORDS, _ADDRESSES = "(address,bytes32)[]", "address[]"
_nonces = itertools.count(1)


async def onboard(we: Ourselves, wallets: Sequence[str]) -> Receipt:
    """Makes the identities of the wallets and gives each its word."""
    identities = [await we.identity_of(wallet) for wallet in wallets]
    words = [await _word(we, identity) for identity in identities]
    return await _send(we, "onboardHosted", "Onboard", _WORDS, list(zip(wallets, words, strict=True)))


async def issue(we: Ourselves, identities: Sequence[str]) -> Receipt:
    """Issues, or renews where there is a word already."""
    words = [await _word(we, identity) for identity in identities]
    return await _send(we, "issue", "Issue", _WORDS, list(zip(identities, words, strict=True)))


async def revoke(we: Ourselves, identities: Sequence[str]) -> Receipt:
    """As the daemon does it: by an operator alone, and the identities are not told."""
    return await we.evm.send(
        we.issuer, "revokeBatch", [(identity, TOPIC, 0) for identity in identities], sender=we.operator
    )


async def revoke_noted(we: Ourselves, identities: Sequence[str]) -> Receipt:
    """The same with a claim signer's leave, and each identity emits ClaimRemoved."""
    return await _send(we, "revokeHosted", "RevokeHosted", _ADDRESSES, list(identities))


async def _word(we: Ourselves, identity: str) -> bytes:
    epoch = await we.evm.ask(we.issuer, "epochOf", identity, TOPIC)
    head = await we.evm.gateway.head()
    return Word(epoch=epoch, issued_at=head.timestamp, expires_at=0, commitment=secrets.token_bytes(21)).pack()


async def _send(we: Ourselves, function: str, struct: str, kind: str, items: list[object]) -> Receipt:
    nonce, deadline = next(_nonces), (await we.evm.gateway.head()).timestamp + _HOUR
    type_hash = keccak(text=f"{struct}(uint256 topic,bytes32 items,uint256 nonce,uint256 deadline)")
    types = ["bytes32", "uint256", "bytes32", "uint256", "uint256"]
    content = keccak(encode(types, [type_hash, TOPIC, keccak(encode([kind], [items])), nonce, deadline]))
    domain = domain_separator(CHAIN_ID, we.issuer.address)
    signature = await checked_sign(we.signer, b"\x19\x01" + domain + content)
    compact = compact_signature(signature.r, signature.s, signature.y_parity)
    return await we.evm.send(we.issuer, function, TOPIC, items, (nonce, deadline, compact), sender=we.operator)
