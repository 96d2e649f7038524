"""`claimwright reseal`: after a new data key, so that the old one can go."""

import click
from cryptography.exceptions import InvalidTag

from issuer.claims import store as claims
from issuer.claims.queueing import SALT
from issuer.commands.common import as_json, run, settings, show_one, store
from issuer.errors import ClaimwrightError
from issuer.secrets import KeyRing
from issuer.settings import SealingSettings


@click.command()
@click.option("--batch", type=click.IntRange(1, 1000), default=200, show_default=True, help="Rows in one transaction.")
@as_json
def reseal(batch: int, as_json: bool) -> None:
    """Seal what is kept under older data keys under the newest one. May run beside the daemon, and again."""
    keys = KeyRing.parse("CLAIMWRIGHT_DATA_KEYS", settings(SealingSettings).data_keys)
    show_one({"resealed": run(_reseal(keys, batch))}, as_json=as_json)


async def _reseal(keys: KeyRing, batch: int) -> int:
    done, last = 0, ""
    async with store() as db:
        while True:
            async with db.read() as session:
                rows = await claims.sealed_before(session, keys.prefix, after_id=last, limit=batch)
            if not rows:
                return done
            anew = [(claim_id, old, _anew(keys, claim_id, old)) for claim_id, old in rows]
            async with db.write() as session:
                for claim_id, old, new in anew:
                    await claims.reseal(session, claim_id, old, new)
            done, last = done + len(rows), rows[-1][0]


def _anew(keys: KeyRing, claim_id: str, sealed: str) -> str:
    try:
        return keys.seal(SALT, keys.open(SALT, sealed, row=claim_id), row=claim_id)
    except (InvalidTag, KeyError, ValueError):
        version = sealed.partition(":")[0]
        raise ClaimwrightError(
            f"the salt of {claim_id} does not open; keep data key {version} in CLAIMWRIGHT_DATA_KEYS"
        ) from None
