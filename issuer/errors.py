"""Every error Claimwright raises on purpose, on one page.

    ClaimwrightError
    ├── SettingsError             a required or weak setting; names it
    ├── InvalidInput              the caller's field is wrong; names it
    ├── NotFound
    ├── Conflict
    │   ├── IllegalMove           a state machine refuses the move
    │   ├── IdempotencyMismatch   the same Idempotency-Key with another request
    │   ├── LevelNotSetUp         no template at the provider for a check at this level
    │   ├── ChainOutOfReach       a sandbox's decision for a live chain, or production's for a test network
    │   ├── WalletNotProved       a live chain needs proof that the caller owns the wallet
    │   ├── SubjectRestricted     erasure was asked for: nothing is opened or issued any more
    │   ├── AttemptsSpent         the level allows no further attempt until an operator resets them
    │   ├── WalletsSpent          the level allows the person no further wallet
    │   └── NoticeNotAccepted     the holder must accept the current privacy notice first
    ├── NotAuthenticated          no key, or an unknown or revoked one
    ├── NotAllowed                the key lacks the scope
    ├── WebhookRefused            unsigned, forged, stale or malformed delivery
    ├── BodyTooLarge
    ├── ProviderError             what a KYC provider did to us
    │   ├── ProviderUnavailable   (transient) down, slow, or asking us to wait
    │   ├── ProviderRefused       it understood and said no
    │   └── ProviderNotFound      it does not know the reference
    ├── ChainError                what a node, a contract or a signer did to us
    │   ├── NodeUnavailable       (transient) down, slow, garbled
    │   ├── NodeRefused           a JSON-RPC error that is an answer
    │   ├── WrongChain            chain id or genesis differs from what was recorded
    │   ├── SignerFailed          no signature, or not the one that was asked for
    │   └── LaneHeld              the lane must not sign; says why
    ├── BudgetSpent               (transient) the day's budget of checks is used up
    ├── LaneLost                  (transient) the lease went to another process
    ├── Changed                   (transient) what was checked moved before it was written; look again
    ├── StoreBusy                 (transient) the database refused for now
    └── AlreadyRunning            another process holds this role on this SQLite store

`transient` answers one question: does waiting help?
"""


class ClaimwrightError(Exception):
    """Base of all. `code` is stable and appears in problem+json types and logs."""

    transient = False
    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SettingsError(ClaimwrightError):
    """A setting is missing, weak or contradictory. `name` is the environment variable."""

    code = "settings"

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name


class InvalidInput(ClaimwrightError):
    """One field of a request is wrong. `field` is its JSON name."""

    code = "invalid-input"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class NotFound(ClaimwrightError):
    code = "not-found"


class Conflict(ClaimwrightError):
    code = "conflict"


class IllegalMove(Conflict):
    """A state machine refused `source > target`."""

    code = "illegal-move"

    def __init__(self, machine: str, source: str, target: str) -> None:
        super().__init__(f"a {machine} cannot go from {source} to {target}")
        self.machine, self.source, self.target = machine, source, target


class IdempotencyMismatch(Conflict):
    code = "idempotency-mismatch"


class LevelNotSetUp(Conflict):
    code = "level-not-set-up"


class ChainOutOfReach(Conflict):
    code = "chain-out-of-reach"


class WalletNotProved(Conflict):
    code = "wallet-not-proved"


class SubjectRestricted(Conflict):
    code = "subject-restricted"


class AttemptsSpent(Conflict):
    code = "attempts-spent"


class WalletsSpent(Conflict):
    code = "wallets-spent"


class NoticeNotAccepted(Conflict):
    code = "notice-not-accepted"


class NotAuthenticated(ClaimwrightError):
    code = "not-authenticated"


class NotAllowed(ClaimwrightError):
    code = "not-allowed"


class WebhookRefused(ClaimwrightError):
    """The delivery is not proved to be the provider's. `reason` is one of a closed list, safe to log."""

    code = "webhook-refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"webhook refused: {reason}")
        self.reason = reason


class BodyTooLarge(ClaimwrightError):
    code = "body-too-large"


class ProviderError(ClaimwrightError):
    """`status` is the provider's HTTP status if it answered; `request_id` its own name for the call."""

    code = "provider"

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class ProviderUnavailable(ProviderError):
    """Waiting helps. `retry_after` in seconds. `same_key`: may the repeat carry the same idempotency key?."""

    transient = True
    code = "provider-unavailable"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float = 5.0,
        same_key: bool = True,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.retry_after = retry_after
        self.same_key = same_key  # not after a 5xx, which the provider may replay


class ProviderRefused(ProviderError):
    code = "provider-refused"


class ProviderNotFound(ProviderError):
    code = "provider-not-found"


class ChainError(ClaimwrightError):
    code = "chain"


class NodeUnavailable(ChainError):
    """`retry_after`: for how many seconds the node asked to be left alone; 0 if it did not."""

    transient = True
    code = "node-unavailable"

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NodeRefused(ChainError):
    """The node answered with a JSON-RPC error. `rpc_code` is its number."""

    code = "node-refused"

    def __init__(self, message: str, rpc_code: int | None = None) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code


class WrongChain(ChainError):
    code = "wrong-chain"


class SignerFailed(ChainError):
    code = "signer-failed"


class LaneHeld(ChainError):
    """Nothing new may be signed on this lane until a person or the chain changes something."""

    code = "lane-held"


class BudgetSpent(ClaimwrightError):
    """What the operator allows for a day is used up. `retry_after` in seconds, until the next day begins."""

    transient = True
    code = "budget-spent"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LaneLost(ClaimwrightError):
    transient = True
    code = "lane-lost"


class Changed(ClaimwrightError):
    transient = True
    code = "changed-meanwhile"


class StoreBusy(ClaimwrightError):
    transient = True
    code = "store-busy"


class AlreadyRunning(ClaimwrightError):
    code = "already-running"
