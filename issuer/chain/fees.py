"""Fee arithmetic, in wei per gas. Pure."""

import msgspec

BUMP_NUMERATOR, BUMP_DENOMINATOR = 9, 8  # +12.5 %: nodes ask for 10 %, and rounding must never fall short


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """EIP-1559: what a transaction may cost per gas, and how much of it goes to the block's maker."""

    max_fee: int
    tip: int


def opening(*, base_fee: int, suggested_tip: int, min_tip: int, max_fee: int) -> Fees:
    """The first attempt: room for the base fee to double, never above the cap."""
    tip = min(max(suggested_tip, min_tip), max_fee)
    return Fees(max_fee=min(2 * base_fee + tip, max_fee), tip=tip)


def affordable(fees: Fees, base_fee: int) -> bool:
    """Could a transaction with these fees enter the next block?"""
    return fees.max_fee >= base_fee


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
