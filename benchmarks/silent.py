"""Open cases of which nothing was heard: how long until all have been looked at, and how often is Persona asked?

    benchmarks/run silent [--cases 2000] --json

A real Persona simulator with so many inquiries, a twentieth of them approved without a webhook. Ours: the daemon's
own way, a hundred in one call (`filter[inquiry-id]`) and a reading of each that has changed. Beside it: a reading of
each, one after the other, as a poller does (200 of them, extrapolated). The store is left out: both write the same.
"""

import argparse
import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from issuer.cases import rules
from issuer.cases.rules import CaseStatus
from issuer.providers.persona import PersonaProvider
from scripts.persona_simulator import launch

TOGETHER = 100
ALONE = 200


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, default=2000)


def main(args: argparse.Namespace) -> int:
    with launch.start() as persona:
        result = asyncio.run(measure(persona, args.cases))
    if not args.json:
        for name, value in result.items():
            print(f"{name:28} {value}")
    print(json.dumps({"benchmark": "silent"} | result))
    return 0 if result["found"] == result["changed"] else 1


async def measure(persona: launch.Running, count: int) -> dict[str, Any]:
    seen_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    refs = [f"inq_silent{number:08d}" for number in range(count)]
    changed = set(refs[::20])
    async with httpx.AsyncClient(base_url=persona.url, headers=persona.control, trust_env=False) as sim:
        for ref in refs:
            later = {"status": "approved", "updated-at": (seen_at + timedelta(minutes=1)).isoformat()}
            was = {"status": "pending", "updated-at": seen_at.isoformat(), "created-at": seen_at.isoformat()}
            seeded = {"id": ref, "template-id": persona.template_id, **was, **(later if ref in changed else {})}
            (await sim.post("/_sim/inquiries", json=seeded)).raise_for_status()
    provider = PersonaProvider("sandbox", persona.api_key, persona.api)
    try:
        began = time.perf_counter()
        found, calls = set(), 0
        for start in range(0, count, TOGETHER):
            several = refs[start : start + TOGETHER]
            glances = await provider.glance(several)
            worth = [ref for ref in several if rules.is_worth_reading(CaseStatus.STARTED, seen_at, glances.get(ref))]
            found |= {ref for ref in worth if (await provider.fetch(ref)).outcome.value == "approved"}
            calls += 1 + len(worth)
        ours = time.perf_counter() - began
        began = time.perf_counter()
        for ref in refs[:ALONE]:
            await provider.fetch(ref)
        alone = (time.perf_counter() - began) / min(ALONE, count) * count
    finally:
        await provider.aclose()
    return {
        "cases": count,
        "changed": len(changed),
        "found": len(found & changed),
        "seconds": round(ours, 2),
        "calls": calls,
        "calls_one_by_one": count,
        "times_fewer_calls": round(count / calls, 1),
        "times_faster": round(alone / ours, 1),
    }
