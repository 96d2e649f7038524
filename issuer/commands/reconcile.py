"""`claimwright reconcile`: do chain, database and provider agree?"""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import click
import msgspec

from issuer.cases.tables import Case
from issuer.chain import rules
from issuer.chain.deployment import Deployment, check_chain
from issuer.chain.gateway import Gateway
from issuer.chain.watcher import Watcher
from issuer.claims.foreign import Offers
from issuer.claims.settle import ClaimSettlement
from issuer.commands.common import as_json, run, settings, show, store
from issuer.db import Database
from issuer.errors import ClaimwrightError, SettingsError
from issuer.providers.protocol import Outcome
from issuer.providers.registry import providers
from issuer.reconcile.repair import Repairs
from issuer.reconcile.rules import Finding
from issuer.reconcile.work import AskProvider, Reconciler, Report, deployed_in
from issuer.settings import DaemonSettings, ListedChains, NodeSettings, load, load_chain

DIFFERENCES, NOT_CHECKED = 1, 2


class Reconciled(msgspec.Struct, frozen=True):
    """What was found on one chain, and what of it was mended."""

    report: Report
    mended: list[Finding]

    @property
    def left(self) -> list[Finding]:
        return [finding for finding in self.report.findings if finding not in self.mended]


@click.command()
@click.option("--repair", is_flag=True, help="Mend what the daemon's own moves can mend.")
@click.option("--provider", "ask_provider", is_flag=True, help="Also read every decision again from the provider.")
@click.option("--chain", "chain_id", type=int, help="Only this one. Default: every chain of CLAIMWRIGHT_CHAIN_ID.")
@click.option(
    "--from-block", type=click.IntRange(min=0), help="Replay events from here. Default: the ClaimIssuer's deployment."
)
@as_json
def reconcile(repair: bool, ask_provider: bool, chain_id: int | None, from_block: int | None, as_json: bool) -> None:
    """Compare chain, database and provider, and say where they differ.

    Exit codes: 0 they agree, or every difference was mended; 1 differences are left; 2 it could not be checked.
    """
    chain_ids = settings(ListedChains).chain_ids if chain_id is None else (chain_id,)
    chains = [load_chain(NodeSettings, os.environ, one) for one in chain_ids]
    try:
        done = run(_reconcile(chains, repair=repair, ask_provider=ask_provider, from_block=from_block))
    except SettingsError:
        raise
    except ClaimwrightError as error:
        click.echo(f"claimwright: could not be checked: {error.message}", err=True)
        raise click.exceptions.Exit(NOT_CHECKED) from None
    _print(done, as_json=as_json)
    if any(one.left for one in done):
        raise click.exceptions.Exit(DIFFERENCES)


async def _reconcile(
    chains: Sequence[NodeSettings], *, repair: bool, ask_provider: bool, from_block: int | None
) -> list[Reconciled]:
    done = []
    async with store() as db, _provider(ask_provider) as provider:
        for chain in chains:
            async with _opened(chain, db) as (reconciler, deployed):
                first = deployed if from_block is None else from_block
                report = await reconciler.examine(first_block=first, provider=provider)
                done.append(
                    Reconciled(
                        report, await reconciler.repair(report.findings, whole=first <= deployed) if repair else []
                    )
                )
    return done


@asynccontextmanager
async def _opened(chain: NodeSettings, db: Database) -> AsyncIterator[tuple[Reconciler, int]]:
    """A chain's reconciler, and the block of the ClaimIssuer's deployment."""
    deployment = Deployment.load(chain.deployment_file)
    claim_issuer = deployment.contracts["ClaimIssuer"]
    profile = rules.profile(chain.chain_id, depth=chain.depth)
    gateway = Gateway(chain.rpc_urls[0])
    try:
        await check_chain(gateway, deployment)
        settlement = ClaimSettlement({chain.chain_id: claim_issuer})
        watcher = Watcher(db, gateway, settlement, chain_id=chain.chain_id, profile=profile)
        offers = Offers(db, gateway, chain_id=chain.chain_id, claim_issuer=claim_issuer, depth=profile.depth)

        async def look() -> None:
            await watcher.look()
            await offers.step()

        reconciler = Reconciler(
            db,
            gateway,
            chain_id=chain.chain_id,
            claim_issuer=claim_issuer,
            depth=profile.depth,
            repairs=Repairs(db, look=look),
        )
        yield reconciler, await deployed_in(gateway, deployment)
    finally:
        await gateway.aclose()


@asynccontextmanager
async def _provider(wanted: bool) -> AsyncIterator[AskProvider | None]:
    """How the provider's present word on a case is asked; needs the daemon's settings."""
    if not wanted:
        yield None
        return
    vendors = providers(load(DaemonSettings, os.environ))

    async def ask(case: Case) -> bool | None:
        vendor = vendors.get((case.provider, case.environment))
        if vendor is None or case.check_ref is None:
            return None
        reading = await vendor.fetch(case.check_ref)
        return None if reading.redacted else reading.outcome is Outcome.APPROVED

    try:
        yield ask
    finally:
        for vendor in vendors.values():
            await vendor.aclose()


def _print(done: Sequence[Reconciled], *, as_json: bool) -> None:
    if as_json:
        document = {"agrees": all(one.report.agrees for one in done), "chains": [_document(one) for one in done]}
        click.echo(msgspec.json.encode(document).decode())
        return
    for one in done:
        report = one.report
        click.echo(
            f"chain {report.chain_id}: {report.keys} claims compared, blocks {report.first_block} to "
            f"{report.last_block} replayed, {len(report.findings) or 'no'} differences"
        )
    rows = [_row(one, finding) for one in done for finding in one.report.findings]
    if rows:
        show(rows, as_json=False, empty="")


def _document(one: Reconciled) -> dict[str, object]:
    findings = [
        {**msgspec.to_builtins(finding), "repairable": finding.repairable, "repaired": finding in one.mended}
        for finding in one.report.findings
    ]
    return {**msgspec.to_builtins(one.report), "findings": findings}


def _row(one: Reconciled, finding: Finding) -> dict[str, object]:
    return {
        "chain": one.report.chain_id,
        "code": str(finding.code),
        "claim": finding.claim_id,
        "case": finding.case_id,
        "where": finding.identity or finding.sender,
        "nonce": finding.nonce,
        "repair": "done" if finding in one.mended else "--repair" if finding.repairable else "by a person",
        "detail": finding.detail,
    }
