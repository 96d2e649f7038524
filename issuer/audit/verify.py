"""Walk the whole chain and hold it against the rows, the signed heads, and the heads that were kept elsewhere."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from issuer.audit import rules, store
from issuer.audit.rules import GENESIS, Head
from issuer.db import Database
from issuer.ids import first_id

SETTLING = timedelta(minutes=2)  # what is younger need not be in the chain yet
MOST = 100  # findings of one kind; the first says enough


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`not_yet`: rows that are too young to be in the chain. `wrong` empty: everything holds."""

    entries: int
    heads: int
    not_yet: int
    wrong: list[str]


async def check(db: Database, public_key: str, anchored: Sequence[Head], *, at: datetime) -> Report:
    """Reads everything, page by page, beside whoever writes."""
    async with db.read() as session:
        signed = await store.heads(session)
    wanted = {head.seq for head in (*signed, *anchored)}
    hashes: dict[int, str] = {}
    wrong: list[str] = []
    last, previous = 0, GENESIS
    while True:
        async with db.read() as session:
            page = await store.links(session, after=last)
            by_kind: dict[str, list[str]] = defaultdict(list)
            for link, _ in page:
                by_kind[link.kind].append(link.ref)
            now_there: dict[str, str] = {}
            for kind, refs in by_kind.items():
                now_there |= await store.digests(session, kind, refs)
        if not page:
            break
        wrong += rules.broken_links(page, after=last, previous=previous)
        for link, stored in page:
            if link.seq in wanted:
                hashes[link.seq] = stored
            if link.ref not in now_there:
                wrong.append(f"{link.ref}, of entry {link.seq}, is gone")
            elif now_there[link.ref] != link.digest:
                wrong.append(f"{link.ref}, of entry {link.seq}, was changed")
        last, previous = page[-1][0].seq, page[-1][1]
    wrong += rules.broken_heads(signed, hashes, public_key, "in the database")
    wrong += rules.broken_heads(anchored, hashes, public_key, "kept outside")
    async with db.read() as session:
        missing = await store.unchained(session, since=None, limit=MOST)
    young = [ref for _, ref, _ in missing if ref > first_id(ref.partition("_")[0], at - SETTLING)]
    wrong += [f"{ref} is in no entry" for _, ref, _ in missing if ref not in young]
    return Report(entries=last, heads=len(signed), not_yet=len(young), wrong=wrong)
