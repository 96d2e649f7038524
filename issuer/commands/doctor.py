"""`claimwright doctor`: everything that can be checked before or while it runs, one line each."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial

import click
import msgspec

from issuer import migrations
from issuer.audit.rules import AuditKey
from issuer.chain.deploy import Deployment, check_deployment
from issuer.chain.gateway import EndpointStatus, Gateway
from issuer.chain.signer import Signer, checked_sign
from issuer.chain_room import Keys, load_keys
from issuer.commands.common import as_json, run, show
from issuer.db import Database
from issuer.errors import ClaimwrightError, WrongChain
from issuer.providers import registry
from issuer.settings import ApiSettings, ChainSettings, DaemonSettings, StoreSettings, load
from issuer.stops import store as stops

LOW_WEI = 5 * 10**16
PROBE = b"Claimwright asks whether this key signs; what it signs here is neither a transaction nor a claim"
_ETHER = 10**18


class Finding(msgspec.Struct, frozen=True):
    """One line. `ok` False: `what` says what to do."""

    name: str
    ok: bool
    what: str


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check settings, store, chain and provider. Changes nothing; exit code 1 if something is wrong."""
    findings = run(_examine())
    rows = [{"check": one.name, "result": "ok" if one.ok else "wrong", "what": one.what} for one in findings]
    show(rows, as_json=as_json, empty="")
    if not all(one.ok for one in findings):
        raise click.exceptions.Exit(1)


async def _examine() -> list[Finding]:
    findings = [await _finding("api settings", _api_settings), await _finding("store", _store)]
    try:
        settings = load(DaemonSettings, os.environ)
    except ClaimwrightError as error:
        return [*findings, Finding("daemon settings", False, error.message)]
    findings.append(Finding("daemon settings", True, "complete"))
    findings.append(await _finding("issuing", lambda: _issuing(settings)))
    findings.append(await _finding("audit", lambda: _audit(settings)))
    parts = await asyncio.gather(*(_chain(chain) for chain in settings.chains), _provider(settings))
    return [*findings, *(finding for part in parts for finding in part)]


async def _finding(name: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(name, True, await check())
    except ClaimwrightError as error:
        return Finding(name, False, error.message)


async def _api_settings() -> str:
    load(ApiSettings, os.environ)
    return "complete"


async def _store() -> str:
    db = Database(load(StoreSettings, os.environ).database_url.reveal(), pool_size=1)
    try:
        if not await migrations.at_head(db):
            raise ClaimwrightError("not at the newest version; run `claimwright migrate`")
    finally:
        await db.aclose()
    return f"{db.dialect}, at the newest version"


async def _audit(settings: DaemonSettings) -> str:
    """A chain that nobody signs shows an edit, and not that its end was cut off."""
    if settings.audit_key is None:
        return "the chain grows, but nobody vouches for its end; set CLAIMWRIGHT_AUDIT_KEY"
    AuditKey.parse(settings.audit_key)
    kept = settings.audit_anchor or "the log alone; CLAIMWRIGHT_AUDIT_ANCHOR_FILE names a file for them"
    return f"heads are signed, and kept in {kept}"


async def _issuing(settings: DaemonSettings) -> str:
    """An emergency stop is no fault, but nobody should look for one elsewhere."""
    db = Database(settings.database_url.reveal(), pool_size=1)
    try:
        if not await migrations.at_head(db):
            return "cannot be told before the store is migrated"
        async with db.read() as session:
            standing = await stops.standing(session)
    finally:
        await db.aclose()
    if standing:
        stopped = "; ".join(f"{one.reason}: `claimwright stop lift {one.id}`" for one in standing)
        raise ClaimwrightError(f"is stopped by a person ({stopped})")
    return "nothing is stopped"


async def _chain(settings: ChainSettings) -> list[Finding]:
    of = f"chain {settings.chain_id}"
    gateway = Gateway(settings.rpc_urls, chain=_expected(settings))
    try:
        nodes = [_node(of, one) for one in await gateway.survey()]
        reached = await _finding(of, lambda: _right_chain(gateway, settings))
        if not reached.ok:
            return [*nodes, reached]
        try:
            keys = load_keys(settings)
        except ClaimwrightError as error:
            return [*nodes, reached, Finding(f"{of} signers", False, error.message)]
        return [
            *nodes,
            reached,
            *[await _finding(f"{of} sender", partial(_signature, one)) for one in keys.lanes],
            await _finding(f"{of} claim signer", lambda: _signature(keys.claim_signer)),
            await _finding(f"{of} deployment", lambda: _deployment(gateway, settings, keys)),
            *[await _finding(f"{of} balance", partial(_balance, gateway, one)) for one in keys.lanes],
        ]
    finally:
        await gateway.aclose()


def _expected(settings: ChainSettings) -> tuple[int, str] | None:
    """What the deployment file says of its chain, which an endpoint must be on; None without one."""
    try:
        deployment = Deployment.load(settings.deployment_file)
    except ClaimwrightError:
        return None  # told by a check of its own
    return deployment.chain_id, deployment.genesis_hash


def _node(of: str, status: EndpointStatus) -> Finding:
    name = f"{of} {status.alias}"
    if status.error == WrongChain.code:
        return Finding(name, False, "is on another chain than the deployment file; check CLAIMWRIGHT_RPC_URL")
    if status.error is not None:
        return Finding(name, False, f"does not serve ({status.error}); check CLAIMWRIGHT_RPC_URL, or its provider")
    if not status.healthy:
        return Finding(name, False, f"is {status.lag} blocks behind the others, at {status.head}")
    return Finding(name, True, f"block {status.head}, answers in {status.latency_ms} ms")


async def _signature(signer: Signer) -> str:
    """A signature that nothing accepts, to see that the key is there and the one that it should be."""
    try:
        await checked_sign(signer, PROBE)
    finally:
        await signer.aclose()
    return f"{signer.address}, signs"


async def _right_chain(gateway: Gateway, settings: ChainSettings) -> str:
    found = await gateway.chain_id()
    if found != settings.chain_id:
        raise WrongChain(f"the node is on chain {found}; set CLAIMWRIGHT_CHAIN_ID or CLAIMWRIGHT_RPC_URL right")
    return f"block {(await gateway.head()).number}"


async def _deployment(gateway: Gateway, settings: ChainSettings, keys: Keys) -> str:
    deployment = Deployment.load(settings.deployment_file)
    problems = await check_deployment(
        gateway,
        deployment,
        senders=[one.address for one in keys.lanes],
        claim_signer=keys.claim_signer.address,
    )
    if problems:
        raise ClaimwrightError("; ".join(problems))
    return f"registry {deployment.contracts['ClaimIssuerRegistry']}"


async def _balance(gateway: Gateway, sender: Signer) -> str:
    wei = await gateway.balance(sender.address)
    if wei < LOW_WEI:
        raise ClaimwrightError(f"the sender {sender.address} has {wei / _ETHER:.6f} ether; send it some")
    return f"{wei / _ETHER:.4f} ether"


async def _provider(settings: DaemonSettings) -> list[Finding]:
    """A read that changes nothing and names nobody: does the provider answer our key?"""
    findings = []
    for key, provider in registry.providers(settings).items():
        try:
            await provider.check()
            findings.append(Finding(" ".join(key), True, "answers"))
        except ClaimwrightError as error:
            findings.append(Finding(" ".join(key), False, error.message))
        finally:
            await provider.aclose()
    return findings
