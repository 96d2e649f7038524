"""`claimwright signer`: the keys whose claims a ClaimIssuer accepts. Only its manager may change them.

Without `--send` each change is printed as calldata, for a manager whose key is elsewhere (a Safe, a hardware wallet).
"""

import os
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from issuer.addresses import is_checksummed
from issuer.chain import claim_signers
from issuer.chain.claim_signers import Act, SignerState, Terms
from issuer.chain.deploy import carry_out
from issuer.chain.deployment import Deployment
from issuer.chain.gateway import Gateway
from issuer.chain.signers import load_signer
from issuer.claims import store as claims
from issuer.commands.common import MOMENT, as_json, on_chain, run, show, store
from issuer.errors import InvalidInput
from issuer.settings import NodeSettings, OwnerSettings, load_chain

sending = click.option("--send", is_flag=True, help="Send it, signed by CLAIMWRIGHT_DEPLOYER_…, and wait.")


def terms_of(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--max-life-days", type=click.IntRange(0, 65535), default=0, help="How long a claim may live."),
        click.option("--issued-until", type=MOMENT, help="Claims that it issues later do not count. UTC."),
        click.option("--issued-from", type=MOMENT, help="Claims that it issued before do not count. UTC."),
    ):
        command = option(command)
    return command


@click.group()
def signer() -> None:
    """The keys whose claims a ClaimIssuer accepts: list, add, limit, suspend and remove them."""


@signer.command("list")
@on_chain
@as_json
def list_(chain_id: int | None, as_json: bool) -> None:
    """Every key that has signed a claim here or may now, and how many claims of each stand."""
    node = load_chain(NodeSettings, os.environ, chain_id)

    async def read() -> list[dict[str, object]]:
        async with store() as db, db.read() as session:
            standing = await claims.standing_by_signer(session, node.chain_id)
        own = os.environ.get("CLAIMWRIGHT_CLAIM_SIGNER_ADDRESS")
        known = sorted({*standing, *([own] if own else [])})
        gateway, issuer = _chain(node)
        try:
            return [
                _row(one, standing.get(one.address, 0)) for one in await claim_signers.states(gateway, issuer, known)
            ]
        finally:
            await gateway.aclose()

    show(run(read()), as_json=as_json, empty="no claim was signed yet")


@signer.command()
@click.argument("address")
@terms_of
@sending
@on_chain
@as_json
def add(
    address: str,
    issued_from: datetime | None,
    issued_until: datetime | None,
    max_life_days: int,
    send: bool,
    chain_id: int | None,
    as_json: bool,
) -> None:
    """Accept claims signed by ADDRESS, under terms if there are any."""
    terms = Terms(issued_from=issued_from, issued_until=issued_until, max_life_days=max_life_days)
    _change(lambda issuer: claim_signers.add(issuer, _checked(address), terms), send, chain_id, as_json)


@signer.command()
@click.argument("address")
@terms_of
@sending
@on_chain
@as_json
def limit(
    address: str,
    issued_from: datetime | None,
    issued_until: datetime | None,
    max_life_days: int,
    send: bool,
    chain_id: int | None,
    as_json: bool,
) -> None:
    """Say anew which claims of ADDRESS count; without options, all."""
    terms = Terms(issued_from=issued_from, issued_until=issued_until, max_life_days=max_life_days)
    _change(lambda issuer: claim_signers.limit(issuer, _checked(address), terms), send, chain_id, as_json)


@signer.command()
@click.argument("address")
@sending
@on_chain
@as_json
def suspend(address: str, send: bool, chain_id: int | None, as_json: bool) -> None:
    """Nothing that ADDRESS has signed counts, from that block on: for a stolen key. A guardian may send it, too."""
    _change(lambda issuer: claim_signers.suspend(issuer, _checked(address)), send, chain_id, as_json)


@signer.command()
@click.argument("address")
@sending
@on_chain
@as_json
def restore(address: str, send: bool, chain_id: int | None, as_json: bool) -> None:
    """Take a suspension back."""
    _change(lambda issuer: claim_signers.restore(issuer, _checked(address)), send, chain_id, as_json)


@signer.command()
@click.argument("address")
@sending
@on_chain
@as_json
def remove(address: str, send: bool, chain_id: int | None, as_json: bool) -> None:
    """Accept nothing of ADDRESS any more, what it has signed included: after its claims were made anew."""
    _change(lambda issuer: claim_signers.remove(issuer, _checked(address)), send, chain_id, as_json)


def _change(acts: Callable[[str], list[Act]], send: bool, chain_id: int | None, as_json: bool) -> None:
    hashes = run(_sent(acts, load_chain(OwnerSettings, os.environ, chain_id))) if send else None
    loaded = load_chain(NodeSettings, os.environ, chain_id)
    planned = acts(Deployment.load(loaded.deployment_file).contracts["ClaimIssuer"])
    rows: list[dict[str, object]] = []
    for place, act in enumerate(planned):
        sent = {"calldata": "0x" + act.data.hex()} if hashes is None else {"tx_hash": hashes[place]}
        rows.append({"what": act.what, "to": act.to, **sent})
    show(rows, as_json=as_json, empty="")


async def _sent(acts: Callable[[str], list[Act]], loaded: OwnerSettings) -> list[str]:
    owner = load_signer(loaded.deployer, chain_ids=[loaded.chain_id])
    gateway, issuer = _chain(loaded)
    try:
        return await carry_out(
            gateway, owner, acts(issuer), chain_id=loaded.chain_id, log=lambda line: click.echo(line, err=True)
        )
    finally:
        await owner.aclose()
        await gateway.aclose()


def _chain(loaded: NodeSettings | OwnerSettings) -> tuple[Gateway, str]:
    """The nodes, held to the deployment file's chain, and the ClaimIssuer there."""
    deployment = Deployment.load(loaded.deployment_file)
    chain = (deployment.chain_id, deployment.genesis_hash)
    return Gateway(loaded.rpc_urls, chain=chain), deployment.contracts["ClaimIssuer"]


def _checked(address: str) -> str:
    if not is_checksummed(address):
        raise InvalidInput("address", "is not an address with its checksum (EIP-55)")
    return address


def _row(state: SignerState, standing: int) -> dict[str, object]:
    return {
        "address": state.address,
        "accepted": state.registered and not state.suspended,
        "suspended": state.suspended,
        "issued_from": state.terms.issued_from,
        "issued_until": state.terms.issued_until,
        "max_life_days": state.terms.max_life_days or None,
        "claims": standing,
    }
