"""Questions to contracts that may be anybody's code."""

from collections.abc import Sequence

from issuer.chain.gateway import Call, Gateway
from issuer.errors import ChainError


async def ask_each(gateway: Gateway, calls: Sequence[Call]) -> list[bytes | None]:
    """As `Gateway.call`, but a contract that spoils a whole batch with its answer spoils only its own: None.

    Raises the gateway's errors if it is the node that is away.
    """
    if not calls:
        return []
    try:
        return await gateway.call(calls)
    except ChainError:
        await gateway.head()
        if len(calls) == 1:
            return [None]
    half = len(calls) // 2
    return await ask_each(gateway, calls[:half]) + await ask_each(gateway, calls[half:])
