"""`claimwright doctor`: everything that can be checked before or while it runs, one line each."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial

import click
import httpx
import msgspec

from issuer import migrations
from issuer.audit.rules import AuditKey
from issuer.cases import levels
from issuer.chain.deploy import Deployment, check_deployment
from issuer.chain.gateway import EndpointStatus, Gateway
from issuer.chain.signer import Signer, checked_sign
from issuer.chain_room import Keys, load_keys
from issuer.commands.common import as_json, run, show
from issuer.db import Database
from issuer.errors import ClaimwrightError, ProviderRefused, WrongChain
from issuer.providers import registry
from issuer.providers.http import checked_base
from issuer.providers.persona_setup import open_setup
from issuer.providers.persona_transaction import TYPE_PREFIX
from issuer.providers.vendors import PRODUCTION, ProviderSettings
from issuer.settings import ApiSettings, ChainSettings, DaemonSettings, StoreSettings, load
from issuer.stops import store as stops

LOW_WEI = 5 * 10**16
FORBIDDEN = 403
MOST_SKEW = 30.0  # seconds; Sumsub refuses calls of another minute, and webhooks are good for five
PROBE = b"Claimwright asks whether this key signs; what it signs here is neither a transaction nor a claim"
_ETHER = 10**18


class Finding(msgspec.Struct, frozen=True):
    """One line. `ok` False: `what` says what to do."""

    name: str
    ok: bool
    what: str


@click.command()
@click.option("--url", help="Where the API is reached from outside, https://your-host: the way of webhooks is tried.")
@as_json
def doctor(url: str | None, as_json: bool) -> None:
    """Check settings, store, clock, chain, provider and webhooks. Changes nothing; exit code 1 if one is wrong."""
    base = None if url is None else checked_base("--url", url)
    findings = run(_examine(base))
    rows = [{"check": one.name, "result": "ok" if one.ok else "wrong", "what": one.what} for one in findings]
    show(rows, as_json=as_json, empty="")
    if not all(one.ok for one in findings):
        raise click.exceptions.Exit(1)


async def _examine(url: str | None) -> list[Finding]:
    findings = [await _finding("api settings", _api_settings), await _finding("store", _store)]
    try:
        settings = load(DaemonSettings, os.environ)
        levels.use(settings.levels_file)
    except ClaimwrightError as error:
        return [*findings, Finding("daemon settings", False, error.message)]
    findings.append(Finding("daemon settings", True, "complete"))
    findings.append(await _finding("issuing", lambda: _issuing(settings)))
    findings.append(await _finding("audit", lambda: _audit(settings)))
    parts = await asyncio.gather(*(_chain(chain) for chain in settings.chains), _provider(settings), _webhooks(url))
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
    ahead = {}
    for key, provider in registry.providers(settings).items():
        name = " ".join(key)
        try:
            await provider.check()
            findings.append(Finding(name, True, "answers"))
        except ClaimwrightError as error:
            findings.append(Finding(name, False, error.message))
        finally:
            if provider.clock_ahead is not None:
                ahead[name] = provider.clock_ahead
            await provider.aclose()
    named = [one for one in settings.providers if one.vendor == "persona" and one.environment == PRODUCTION]
    for one in named:  # Persona lists templates to production keys alone
        wanted = {each.template for each in registry.templates(settings, "persona") if each.environment == PRODUCTION}
        findings.append(await _finding("persona production template", partial(_templates, one, wanted)))
    return [*findings, _clock(ahead)]


async def _templates(settings: ProviderSettings, wanted: Collection[str]) -> str:
    """Does Persona know the inquiry templates that cases are opened with?"""
    there = open_setup(settings)
    try:
        known = {one.id: one.status for one in await there.templates()}
    except ProviderRefused as error:
        if error.status != FORBIDDEN:
            raise
        return "cannot be told: the API key may not list templates"
    finally:
        await there.aclose()
    inquiries = sorted(one for one in wanted if not one.startswith(TYPE_PREFIX))
    missing = [one for one in inquiries if one not in known]
    if missing:
        raise ClaimwrightError(
            f"Persona knows no template {', '.join(missing)}; see `claimwright provider persona templates`"
        )
    return f"{', '.join(inquiries)}: known"


def _clock(ahead: Mapping[str, float]) -> Finding:
    """Signatures of webhooks and of our own calls are good for a while only, by two clocks."""
    if not ahead:
        return Finding("clock", True, "cannot be told: no provider said what time it is there")
    name, seconds = max(ahead.items(), key=lambda one: abs(one[1]))
    if abs(seconds) > MOST_SKEW:
        where = "behind" if seconds > 0 else "ahead of"
        return Finding("clock", False, f"is {abs(seconds):.0f} s {where} that of {name}; set it by NTP")
    return Finding("clock", True, f"within {MOST_SKEW:.0f} s of {', '.join(ahead)}")


async def _webhooks(url: str | None) -> list[Finding]:
    """The way that webhooks come, tried from here, and what Persona has set up at its end."""
    if url is None:
        return [
            Finding("webhooks", True, "the way was not tried; name it: `claimwright doctor --url https://your-host`")
        ]
    try:
        settings = load(ApiSettings, os.environ)
    except ClaimwrightError:
        return []  # told by a check of its own
    findings = []
    for one in settings.providers:
        paths = [f"/webhooks/{one.vendor}/{one.environment}"]
        paths += (
            [f"/webhooks/{one.vendor}"] if [each.vendor for each in settings.providers].count(one.vendor) == 1 else []
        )
        name = f"{one.vendor} {one.environment} webhook"
        findings.append(await _finding(name, partial(_reached, url + paths[0])))
        if one.vendor == "persona":
            findings.append(await _finding(f"{name} at Persona", partial(_rung, one, [url + path for path in paths])))
    return findings


async def _reached(url: str) -> str:
    """A question that the API answers in its own words and that counts as no delivery."""
    try:
        async with httpx.AsyncClient(timeout=10, follow_redirects=False) as http:
            answer = await http.get(url)
    except httpx.HTTPError as error:
        raise ClaimwrightError(
            f"{url} does not answer ({type(error).__name__}): check the proxy, DNS, the firewall"
        ) from None
    if answer.is_redirect:
        raise ClaimwrightError(f"{url} answers with a redirect, which providers do not follow")
    if answer.status_code != 405 or "method-not-allowed" not in answer.text:
        raise ClaimwrightError(f"{url} is answered by something else (status {answer.status_code}), not by our API")
    return f"{url} leads to our API, from here at least"


async def _rung(settings: ProviderSettings, urls: Sequence[str]) -> str:
    there = open_setup(settings)
    try:
        webhook = await there.look(urls)
    except ProviderRefused as error:
        if error.status != FORBIDDEN:
            raise
        return "cannot be told: the API key may not list webhooks"
    finally:
        await there.aclose()
    mend = f"run `claimwright provider persona setup --url {urls[0]}`"
    if webhook is None:
        raise ClaimwrightError(f"no enabled webhook rings {urls[0]}; {mend}")
    if webhook.changed:
        raise ClaimwrightError(f"the webhook differs in {', '.join(webhook.changed)}; {mend}")
    return "rings us, as it should"
