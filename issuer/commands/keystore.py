"""`claimwright keystore`: chain keys in encrypted files (Web3 Secret Storage v3), or kept elsewhere."""

import os
from pathlib import Path

import click

from issuer.chain.keystore import new_keystore
from issuer.chain.signers import remote_keys
from issuer.commands.common import as_json, run, show, show_one
from issuer.secrets import Secret
from issuer.settings import lookup

PASSWORD = "CLAIMWRIGHT_KEYSTORE_PASSWORD"  # noqa: S105 - the variable's name


@click.group()
def keystore() -> None:
    """Make an encrypted chain key, or name one that is kept elsewhere."""


@keystore.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@as_json
def new(path: Path, as_json: bool) -> None:
    """Make a key and write it, encrypted, to PATH, which must not exist. Prints its address.

    The password is asked for, or read from CLAIMWRIGHT_KEYSTORE_PASSWORD or the file that
    CLAIMWRIGHT_KEYSTORE_PASSWORD_FILE names.
    """
    given = lookup(os.environ, PASSWORD)
    password = Secret(given or click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    show_one({"address": new_keystore(path, password), "path": str(path)}, as_json=as_json)


@keystore.command()
@click.argument("place")
@as_json
def remote(place: str, as_json: bool) -> None:
    """The keys that PLACE holds, named as the settings …_REMOTE want them.

    PLACE is `aws-kms:KEY` (a key's id, alias or ARN) or `web3signer:URL`.
    """
    show([{"remote": name} for name in run(remote_keys(place))], as_json=as_json, empty="it holds no key of our kind")
