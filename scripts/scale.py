"""The arithmetic of docs/scale.md, from measured gas and stated assumptions. Prints the page's tables.

python -m scripts.scale                          what stands on the page; a test compares the two
python -m scripts.scale --gas-price 1=2.5 --token 1=3100     with the prices of today
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

CONTRACTS = Path(__file__).resolve().parent.parent / "docs" / "contracts.md"
MILLION = 1_000_000
DAY = 86_400
_MEASURED = re.compile(r"^\| ([^|]+?) \| ([\d,]+) \|$", re.MULTILINE)


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """All of it is assumed: gwei per gas, dollars per token, gas and seconds of a block.

    `rollup`: what its batches cost on Ethereum is paid besides, by bytes, and is not in these figures.
    """

    id: int
    name: str
    gas_price: float
    token: float
    block_gas: int
    block_seconds: float
    rollup: bool = False

    @property
    def title(self) -> str:
        return f"{self.name}*" if self.rollup else self.name


CHAINS = (
    Chain(id=1, name="Ethereum", gas_price=2.0, token=3000.0, block_gas=60_000_000, block_seconds=12.0),
    Chain(id=8453, name="Base", gas_price=0.01, token=3000.0, block_gas=150_000_000, block_seconds=2.0, rollup=True),
    Chain(id=10, name="Optimism", gas_price=0.005, token=3000.0, block_gas=40_000_000, block_seconds=2.0, rollup=True),
    Chain(
        id=42161, name="Arbitrum", gas_price=0.02, token=3000.0, block_gas=32_000_000, block_seconds=1.0, rollup=True
    ),
    Chain(id=137, name="Polygon", gas_price=30.0, token=0.2, block_gas=45_000_000, block_seconds=2.0),
    Chain(id=56, name="BSC", gas_price=0.1, token=600.0, block_gas=70_000_000, block_seconds=1.0),
    Chain(id=100, name="Gnosis", gas_price=1.0, token=1.0, block_gas=17_000_000, block_seconds=5.0),
    Chain(id=43114, name="Avalanche", gas_price=2.0, token=20.0, block_gas=15_000_000, block_seconds=2.0),
)

# What is on the page of contracts > what it is called here.
ACTS = {
    "onboard, each of 20": "signed, new identity",
    "addClaimsTo, each of 20": "signed, identity is there",
    "onboardHosted, each of 20": "hosted, new identity",
    "issue hosted, each of 20": "hosted, identity is there",
    "renew hosted, each of 20": "hosted renewal",
    "revokeBatch, each of 20": "revocation",
}


def measured(page: str) -> dict[str, int]:
    """Gas for each act, as `docs/contracts.md` has it from the contracts' tests."""
    table = {name: int(gas.replace(",", "")) for name, gas in _MEASURED.findall(page)}
    return {ours: table[theirs] for theirs, ours in ACTS.items()}


def dollars(gas: int, chain: Chain) -> float:
    """gas x gwei per gas x 1e-9 x dollars per token."""
    return gas * chain.gas_price * 1e-9 * chain.token


def share(gas: int, chain: Chain, per_day: int) -> float:
    """The part of a chain's whole gas that so many acts a day take."""
    return gas * per_day / DAY / (chain.block_gas / chain.block_seconds)


def cost_table(gas: Mapping[str, int], chains: Sequence[Chain]) -> list[str]:
    """Dollars for each act on each chain."""
    lines = [
        "| | gas | " + " | ".join(chain.title for chain in chains) + " |",
        "| --- | ---: |" + " ---: |" * len(chains),
    ]
    assumed = " | ".join(f"{chain.gas_price:g} gwei, {chain.token:g} $" for chain in chains)
    lines.append(f"| *assumed* | | {assumed} |")
    for act, amount in gas.items():
        lines.append(f"| {act} | {amount:,} | " + " | ".join(_money(dollars(amount, chain)) for chain in chains) + " |")
    return lines


def share_table(gas: Mapping[str, int], chains: Sequence[Chain]) -> list[str]:
    """What a million acts a day take of each chain."""
    lines = [
        "| | gas a second | " + " | ".join(chain.title for chain in chains) + " |",
        "| --- | ---: |" + " ---: |" * len(chains),
    ]
    assumed = " | ".join(f"{chain.block_gas // MILLION} M in {chain.block_seconds:g} s" for chain in chains)
    lines.append(f"| *assumed block* | | {assumed} |")
    for act, amount in gas.items():
        shares = " | ".join(f"{share(amount, chain, MILLION):.1%}" for chain in chains)
        lines.append(f"| {act} | {amount * MILLION / DAY / MILLION:.2f} M | {shares} |")
    return lines


def _money(amount: float) -> str:
    return f"{amount:.2f}" if amount >= 1 else f"{amount:.2g}" if amount >= 0.0001 else "< 0.0001"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.scale", description="Cost and share of each chain.")
    for name in ("gas-price", "token"):
        parser.add_argument(
            f"--{name}", action="append", default=[], metavar="CHAIN_ID=NUMBER", help="instead of what is assumed"
        )
    args = parser.parse_args(argv)
    prices, tokens = _by_chain(args.gas_price), _by_chain(args.token)
    chains = [
        msgspec.structs.replace(
            chain, gas_price=prices.get(chain.id, chain.gas_price), token=tokens.get(chain.id, chain.token)
        )
        for chain in CHAINS
    ]
    gas = measured(CONTRACTS.read_text(encoding="utf-8"))
    print("\n".join(["What one costs, in dollars:", "", *cost_table(gas, chains)]))
    print("\n".join(["", "What a million a day take of a chain:", "", *share_table(gas, chains)]))


def _by_chain(given: Sequence[str]) -> dict[int, float]:
    pairs = [one.partition("=") for one in given]
    return {int(chain): float(number) for chain, _, number in pairs}


if __name__ == "__main__":
    main()
