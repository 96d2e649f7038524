"""Fee arithmetic and what a lane may spend. Fees in wei per gas, money in wei, time in seconds. Pure."""

from collections.abc import Sequence

import msgspec

from issuer.chain.rules import URGENT, Hold

BUMP_NUMERATOR, BUMP_DENOMINATOR = 9, 8  # +12.5 %: nodes ask for 10 %, and rounding must never fall short
LONGEST_DOUBLING = 6


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """EIP-1559: what a transaction may cost per gas, and how much of it goes to the block's maker."""

    max_fee: int
    tip: int


def market_tip(rewards: Sequence[int], *, min_tip: int, max_tip: int) -> int:
    """The middle of what recent blocks were paid, within the chain's bounds."""
    middle = sorted(rewards)[len(rewards) // 2] if rewards else 0
    return max(min_tip, min(middle, max_tip))


def opening(*, base_fee: int, suggested_tip: int, min_tip: int, max_fee: int) -> Fees:
    """The first attempt: room for the base fee to double, never above the cap."""
    tip = min(max(suggested_tip, min_tip), max_fee)
    return Fees(max_fee=min(2 * base_fee + tip, max_fee), tip=tip)


def affordable(fees: Fees, base_fee: int) -> bool:
    """Could a transaction with these fees enter the next block?"""
    return fees.max_fee >= base_fee


def bump_due(fees: Fees, *, base_fee: int, attempts: int, waited: float, first: float, no_mempool: bool) -> bool:
    """Should a transaction offer more? At once if it cannot enter; else after `first` seconds, then twice as many, …

    `attempts` made so far, `waited` seconds since the newest. Without a mempool only the first reason counts.
    """
    if not affordable(fees, base_fee):
        return True
    return not no_mempool and waited >= first * (1 << min(attempts - 1, LONGEST_DOUBLING))


def bump(old: Fees, *, base_fee: int, suggested_tip: int, max_fee: int) -> Fees | None:
    """The next attempt: both at least 12.5 % higher, at least what the market asks. None: the cap forbids it."""
    tip = max(_raised(old.tip), suggested_tip)
    fee = max(_raised(old.max_fee), 2 * base_fee + tip)
    if _raised(old.max_fee) > max_fee or _raised(old.tip) > max_fee:
        return None
    fee = min(fee, max_fee)
    return Fees(max_fee=fee, tip=min(tip, fee))


def _raised(value: int) -> int:
    return max(value + 1, -(-value * BUMP_NUMERATOR // BUMP_DENOMINATOR))


class Purse(msgspec.Struct, frozen=True, kw_only=True):
    """What a lane has before one more transaction. `committed` is the most that its unmined ones can still cost.

    `reserve` must stay for revocations, on this sender, or on `reserve_balance` if they have a sender of their own.
    `spent` since midnight UTC; `daily_cap` None: any amount.
    """

    balance: int
    committed: int = 0
    reserve: int = 0
    reserve_balance: int | None = None
    spent: int = 0
    daily_cap: int | None = None


def refusal(purse: Purse, cost: int, purpose: str) -> Hold | None:
    """Why a transaction that may cost `cost` is not signed; None if it can be."""
    left = purse.balance - purse.committed - cost
    if left < 0:
        return Hold.BALANCE
    if purpose in URGENT:
        return None
    if (left if purse.reserve_balance is None else purse.reserve_balance) < purse.reserve:
        return Hold.RESERVE
    if purse.daily_cap is not None and purse.spent + purse.committed + cost > purse.daily_cap:
        return Hold.DAILY_CAP
    return None
