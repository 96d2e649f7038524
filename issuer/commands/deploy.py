"""`claimwright deploy`: the one command that needs the deployer's key."""

import json
import os

import click

from issuer.cases import levels
from issuer.chain.deploy import Deployment
from issuer.chain.deploy import deploy as deploy_contracts
from issuer.chain.gateway import Gateway
from issuer.chain.signers import load_signer
from issuer.commands.common import as_json, run
from issuer.settings import DeploySettings, load_chain


@click.command()
@click.option("--chain-id", type=int, help="Which one, if CLAIMWRIGHT_CHAIN_ID lists several.")
@as_json
def deploy(chain_id: int | None, as_json: bool) -> None:
    """Put the contracts on chain and register sender and claim signer.

    What CLAIMWRIGHT_DEPLOYMENT_FILE names and the chain has is adopted; run it again after a failure.
    """
    deployment = run(_deploy(load_chain(DeploySettings, os.environ, chain_id)))
    if as_json:
        click.echo(
            json.dumps({
                "chain_id": deployment.chain_id,
                "genesis_hash": deployment.genesis_hash,
                "contracts": deployment.contracts,
            })
        )  # fmt: skip
        return
    for name, address in deployment.contracts.items():
        click.echo(f"{address}  {name}")


async def _deploy(loaded: DeploySettings) -> Deployment:
    levels.use(loaded.levels_file)
    deployer = load_signer(loaded.deployer, chain_ids=[loaded.chain_id])
    gateway = Gateway(loaded.rpc_urls)
    try:
        return await deploy_contracts(
            gateway,
            deployer,
            senders=loaded.senders,
            claim_signer=loaded.claim_signer,
            path=loaded.deployment_file,
            topics=levels.all_topics(),
            chain_id=loaded.chain_id,
            log=lambda line: click.echo(line, err=True),
        )
    finally:
        await gateway.aclose()
