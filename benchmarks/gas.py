"""What each step costs in gas: ours, ONCHAINID 2.2.1, and EAS 1.9.0, on one chain in one run, from receipts.

ONCHAINID is measured as npm ships it (compiled without the optimiser); beside it stand its figures with the optimiser,
as published. A check is sent as a transaction and counted without the 21,000 and the calldata that any transaction
pays. Holders' transactions are sent by the holder, the others by who would send them. A ratio says how many times more
the other costs than ours.
"""

import argparse
import asyncio
import json

from benchmarks.subjects import BATCH, CEILINGS, NEAREST, PUBLISHED_OPTIMISED, Row, eas, onchainid, ours
from scripts.anvil import start_anvil
from tests.integration.contracts.evm import on

HARDFORK = "osaka"
_OURS, _NPM, _OPTIMISED, _EAS = "ours", "onchainid_npm", "onchainid_optimised", "eas"


def main(args: argparse.Namespace) -> int:
    measured = asyncio.run(measure())
    if not args.json:
        print_table(measured)
    print(json.dumps({"benchmark": "gas", "hardfork": HARDFORK, "batch": BATCH, **summary(measured)}))
    return 0


async def measure() -> dict[str, dict[Row, int]]:
    with start_anvil(extra=["--hardfork", HARDFORK]) as anvil:
        async with on(anvil.url) as evm:
            mine = await ours.measure(evm)
            others = {
                _NPM: await onchainid.measure(evm),
                _OPTIMISED: PUBLISHED_OPTIMISED,
                _EAS: await eas.measure(evm),
            }
            return {_OURS: mine, **{name: with_nearest(values) for name, values in others.items()}}


def with_nearest(values: dict[Row, int]) -> dict[Row, int]:
    return {**values, **{row: values[nearest] for row, nearest in NEAREST.items() if nearest in values}}


def summary(measured: dict[str, dict[Row, int]]) -> dict[str, object]:
    mine = measured[_OURS]
    return {
        "gas": measured,
        "ratios": {
            name: {row: round(others[row] / mine[row], 2) for row in Row if row in others and row in mine}
            for name, others in measured.items()
            if name != _OURS
        },
        "above_ceiling": {row: mine[row] - most for row, most in CEILINGS.items() if mine.get(row, 0) > most},
    }


def print_table(measured: dict[str, dict[Row, int]]) -> None:
    columns = {**measured, "ceiling": CEILINGS}
    print(f"{'gas':32}" + "".join(f"{name:>21}" for name in columns))
    for row in Row:
        if row in measured[_OURS]:
            print(f"{row:32}" + "".join(f"{_cell(values.get(row)):>21}" for values in columns.values()))


def _cell(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
