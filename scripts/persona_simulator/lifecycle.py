"""The inquiry's state machine: what each step sets, and which event it fires.

Methods here set exactly the state they name; whether a caller may take the step is decided
by `may_*`, because simulate actions take any step and the ordinary endpoints do not.
Source: docs.withpersona.com/model-lifecycle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.persona_simulator import resources, runs
from scripts.persona_simulator.errors import conflict
from scripts.persona_simulator.ids import new_id
from scripts.persona_simulator.model import Account, Inquiry, Snapshot

if TYPE_CHECKING:
    from scripts.persona_simulator.state import World

DAY = 86_400.0
DECIDED = ("approved", "declined")


def _stamp(world: World, item: Inquiry, *names: str) -> None:
    now = float(int(world.clock.now()))
    for name in ("updated-at", *names):
        item.times[name] = now


def new_account(world: World, reference_id: str | None, type_id: str) -> Account:
    """Create an account and fire ``account.created``."""
    now = world.clock.now()
    account = Account(new_id("act"), reference_id, type_id, now, now)
    world.add_account(account)
    world.record("account.created", Snapshot(resources.account(account), []))
    return account


def set_expiry(world: World, item: Inquiry, phase: str) -> None:
    """Start the inquiry's life anew; `phase` is create, start or resume."""
    now = float(int(world.clock.now()))
    due = now + item.life_seconds.get(phase, DAY)
    item.times["expires-at"] = due

    async def run_out() -> None:
        # A later phase, a decision or a completion has moved or cleared the deadline.
        if item.times["expires-at"] == due and item.status in ("created", "pending"):
            expire(world, item)

    world.clock.at(due, run_out)


def created(world: World, item: Inquiry) -> None:
    """Enter a new inquiry and fire ``inquiry.created``."""
    world.inquiries[item.id] = item
    _stamp(world, item, "created-at")
    set_expiry(world, item, "create")
    world.record_inquiry("inquiry.created", item)


def start(world: World, item: Inquiry) -> None:
    """``inquiry.started`` sets the status ``pending``; the names really do differ."""
    _stamp(world, item, "started-at")
    item.status, item.previous_step = "pending", "start"
    item.next_step = "verification_government_id"
    set_expiry(world, item, "start")
    world.record_inquiry("inquiry.started", item)


def complete(world: World, item: Inquiry) -> None:
    _stamp(world, item, "completed-at")
    item.status, item.next_step = "completed", "success"
    item.times["expires-at"] = None
    runs.fill_in(world, item)
    world.record_inquiry("inquiry.completed", item)
    _let_workflow_decide(world, item)


def fail(world: World, item: Inquiry) -> None:
    _stamp(world, item, "failed-at")
    item.status, item.next_step = "failed", "fail"
    item.times["expires-at"] = None
    runs.fill_in(world, item)
    world.record_inquiry("inquiry.failed", item)


def expire(world: World, item: Inquiry) -> None:
    """Expire the inquiry and its sessions."""
    _stamp(world, item, "expired-at")
    item.status = "expired"
    for session_id in item.sessions:
        runs.expire_session(world, session_id)
    world.record_inquiry("inquiry.expired", item)


def approve(world: World, item: Inquiry, comment: str | None = None, by: str = "user") -> None:
    _decide(world, item, "approved", comment, by)


def decline(world: World, item: Inquiry, comment: str | None = None, by: str = "user") -> None:
    _decide(world, item, "declined", comment, by)


def _decide(world: World, item: Inquiry, status: str, comment: str | None, by: str) -> None:
    # A decision can be taken back later, so one decision may follow another.
    _stamp(world, item, "decisioned-at")
    item.status = status
    item.times["expires-at"] = None
    item.reviewer = (by, new_id("wfr" if by == "workflow-run" else "user"))
    if comment is not None:
        item.reviewer_comment = comment
    world.record_inquiry(f"inquiry.{status}", item)


def mark_for_review(world: World, item: Inquiry) -> None:
    _stamp(world, item, "marked-for-review-at")
    item.status = "needs_review"
    item.times["expires-at"] = None
    world.record_inquiry("inquiry.marked-for-review", item)


def resume(world: World, item: Inquiry) -> None:
    """``expired`` becomes ``pending``; no event is documented for that."""
    if item.status == "expired":
        item.status = "pending"
        item.times["expired-at"] = None
    _stamp(world, item)
    set_expiry(world, item, "resume")


def redact(world: World, item: Inquiry) -> None:
    """Null the personal data at once; ``inquiry.redacted`` follows when all children are done."""
    _stamp(world, item, "redacted-at")
    for field in item.fields.values():
        field["value"] = None
    item.note = item.reviewer_comment = None
    for part_id in [*item.verifications, *item.documents, *item.selfies, *item.reports]:
        runs.redact_part(world, part_id)

    async def announce() -> None:
        world.record_inquiry("inquiry.redacted", item)

    world.clock.after(world.redaction_delay, announce)


def redact_account(world: World, account: Account) -> None:
    """Redact an account and everything below it."""
    account.redacted_at = account.updated_at = world.clock.now()
    if account.reference_id is not None:
        world.references.pop(account.reference_id, None)
    for item in world.inquiries.values():
        if item.account_id == account.id and item.times.get("redacted-at") is None:
            redact(world, item)

    async def announce() -> None:
        world.record("account.redacted", Snapshot(resources.account(account), []))

    world.clock.after(world.redaction_delay, announce)


def _let_workflow_decide(world: World, item: Inquiry) -> None:
    if not world.workflow.enabled or world.workflow.outcome == "none":
        return
    outcome = world.workflow.outcome

    async def decide() -> None:
        if item.times.get("redacted-at") is not None:
            return
        if outcome == "review":
            mark_for_review(world, item)
        elif outcome == "decline":
            decline(world, item, by="workflow-run")
        else:
            approve(world, item, by="workflow-run")

    world.clock.after(world.workflow.delay_seconds, decide)


def may_change(item: Inquiry) -> None:
    """Raise 409 if the inquiry is redacted: nothing happens to it any more."""
    if item.times.get("redacted-at") is not None:
        raise conflict("Inquiry already redacted")


def may_mark_for_review(item: Inquiry) -> None:
    may_change(item)
    if item.status in DECIDED:
        raise conflict(f"Inquiry cannot be marked for review because it is {item.status}")


def may_resume(item: Inquiry) -> None:
    may_change(item)
    if item.status not in ("created", "pending", "expired"):
        raise conflict(f"Inquiry cannot be resumed because it is {item.status}")


def may_expire(item: Inquiry) -> None:
    may_change(item)
    if item.status not in ("created", "pending"):
        raise conflict(f"Inquiry cannot be expired because it is {item.status}")
