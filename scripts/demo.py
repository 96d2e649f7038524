"""What scripts/demo runs: the story of one case, told as a dapp sees it, over HTTP and contract calls only.

Timings, in milliseconds: `setup` from the start of scripts/demo until the stack is ready. `webhook_ack` from sending
a signed webhook with a new event id to its 202. `approval_to_signed` and `approval_to_mined` from sending the approve
call to Persona until the moment the case's timeline gives for that move; `approval_to_confirmed` until the API showed
it to us, which polls every 20 ms. `revoke_to_mined` from sending the decline call until the timeline's `revoked`,
which on this chain (depth 1) is the block that carries the revocation.
"""

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import httpx
from eth_utils.address import to_checksum_address

from issuer.cases.levels import LEVELS
from issuer.chain.gateway import Gateway
from issuer.errors import ClaimwrightError
from issuer.providers.vendors import VENDORS
from issuer.secrets import Secret
from issuer.supervise import until_signalled
from scripts.dapp import Dapp, StepFailed
from scripts.ground import free_directory
from scripts.persona_simulator.people import PII_CANARIES
from scripts.stack import INQUIRY, SHAPES, Stack
from scripts.vendor_simulators.base import Simulator

PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.02
LOG_LINES = 6


class Teller:
    """Prints the timeline. In colour on a terminal only."""

    def __init__(self, *, to_stderr: bool, started: float) -> None:
        self._file = sys.stderr if to_stderr else sys.stdout
        self._colour = self._file.isatty() and "NO_COLOR" not in os.environ
        self._started = started
        self.step = "set-up"

    def at(self, step: str) -> None:
        self.step = step

    def __call__(self, line: str, *facts: str) -> None:
        clock = f"{time.time() - self._started:7.2f} s"
        print(f"{self._paint(clock, '2')}  {self._paint(line, '1') if facts else line}", file=self._file, flush=True)
        for fact in facts:
            print(f"{'':9}    {fact}", file=self._file, flush=True)

    def answer(self, question: str, answer: bool) -> None:
        self(f"{question}  {self._paint('true', '32') if answer else self._paint('false', '33')}")

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


async def tell(stack: Stack, dapp: Dapp, say: Teller) -> dict[str, Any]:
    """The story. Answers what `--json` prints, without `ok` and `timings_ms.setup`. Raises `StepFailed`."""
    wallet = to_checksum_address(secrets.token_bytes(20))
    say.at("create the case")
    case = await dapp.create_case(wallet)
    case_id, check = case["id"], case["provider_ref"]
    who = stack.provider.capitalize()
    say(
        f"a dapp asks for a check of a {'business' if stack.level == 'business' else 'person'}",
        f"wallet   {wallet}",
        f"case     {case_id}",
        f"{stack.provider:<8} {check}",
    )

    say.at("ask the contract before")
    topic = contract_topic(stack.level)
    before = _agree(await dapp.contract_says(wallet, topic))
    say.answer("a contract asks the registry: isVerified(wallet, topic)?", before)

    say.at("start and complete the check")
    await dapp.at_provider(check, "start")
    await dapp.at_provider(check, "submit")
    if stack.provider == "persona":  # the others have words of their own for it, or none before the decision
        await _until(dapp, case_id, lambda seen: seen["status"] == "submitted")
    say(f"the check is finished at {who}: completed is not approved, nothing is issued")

    say.at("approve and issue")
    approved_at = await dapp.at_provider(check, "approve")
    say(f"{who} approves, and sends a signed webhook")
    seen = await _until(dapp, case_id, lambda seen: _claim_status(seen) == "confirmed")
    confirmed_ms = (time.time() - approved_at) * 1000
    claim, moves = seen["claims"][0], await dapp.timeline(case_id)
    signed_ms = (_moment(moves, "signed") - approved_at) * 1000
    mined_ms = (_moment(moves, "mined") - approved_at) * 1000
    say(
        f"the claim is confirmed: signed {signed_ms:.0f} ms, mined {mined_ms:.0f} ms after the approval",
        f"identity  {claim['identity']}",
        f"claim     {claim['claim_id']}",
        f"tx        {claim['tx_hash']}  (block {claim['block_number']})",
    )
    after_issue = _agree(await dapp.contract_says(wallet, topic))
    say.answer("the contract asks again: isVerified(wallet, topic)?", after_issue)

    say.at("deliver the approval once more")
    ack_ms = await dapp.deliver_again(check)
    say(f"the approval arrives again: 202 in {ack_ms:.1f} ms, and nothing is issued twice")

    say.at("decline and revoke")
    declined_at = await dapp.at_provider(check, "decline")
    say(f"{who} changes its mind and declines")
    seen = await _until(dapp, case_id, lambda seen: _claim_status(seen) == "revoked")
    if len(seen["claims"]) != 1:
        raise StepFailed(f"the case has {len(seen['claims'])} claims instead of one")
    revoked_ms = (_moment(await dapp.timeline(case_id), "revoked") - declined_at) * 1000
    say(f"the claim is revoked {revoked_ms:.0f} ms later", f"tx        {seen['claims'][0]['revoked_tx_hash']}")
    after_revoke = _agree(await dapp.contract_says(wallet, topic))
    say.answer("the contract asks a last time: isVerified(wallet, topic)?", after_revoke)
    return {
        "case_id": case_id,
        "claim_id": claim["claim_id"],
        "identity": claim["identity"],
        "tx_hash": claim["tx_hash"],
        "chain_id": claim["chain_id"],
        "timings_ms": {
            "webhook_ack": round(ack_ms, 1),
            "approval_to_signed": round(signed_ms, 1),
            "approval_to_mined": round(mined_ms, 1),
            "approval_to_confirmed": round(confirmed_ms, 1),
            "revoke_to_mined": round(revoked_ms, 1),
        },
        "valid": {"before": before, "after_issue": after_issue, "after_revoke": after_revoke},
    }


def contract_topic(level: str = "basic") -> int:
    """What the shipped level issues, and ClaimGated asks for."""
    return LEVELS[level].topics[0]


def leaks(stack: Stack) -> list[str]:
    """Files of database and logs that hold a word about the person, or a secret. Named, never quoted."""
    forbidden = [word.encode() for word in (*PII_CANARIES, *Simulator.CANARY.split(), *stack.secret_values())]
    kept = [*stack.directory.glob("claimwright.sqlite3*"), stack.log("api"), stack.log("daemon")]
    return [path.name for path in kept if any(word in path.read_bytes() for word in forbidden)]


async def play(
    say: Teller,
    started: float,
    result: dict[str, Any],
    provider: str = "persona",
    level: str = "basic",
    shape: str = INQUIRY,
) -> None:
    """Everything from the first process to the last; fills `result`."""
    stack = Stack(free_directory("demo"), provider=provider, level=level, shape=shape, say=say)
    try:
        async with stack, httpx.AsyncClient(timeout=10, trust_env=False) as http:
            setup_ms = (time.time() - started) * 1000
            gateway = Gateway(Secret(stack.rpc_url))
            try:
                told = await tell(stack, Dapp(stack, http, gateway), say)
            finally:
                await gateway.aclose()
        told["timings_ms"] = {"setup": round(setup_ms, 1), **told["timings_ms"]}
        say.at("look for leaks")
        found = leaks(stack)
        if found:
            raise StepFailed(f"personal data or secrets stand in {', '.join(found)}")
        say(f"nothing personal and no secret in the database and the logs ({len(PII_CANARIES)} words looked for)")
    except (ClaimwrightError, httpx.HTTPError, OSError, RuntimeError) as error:
        message = str(error) or type(error).__name__
        result.update(ok=False, step=say.step, error=message, logs=_last_lines(stack.directory))
        return
    valid = told["valid"] == {"before": False, "after_issue": True, "after_revoke": False}
    result.update(ok=valid, **told)


def _agree(answers: tuple[bool, bool]) -> bool:
    if answers[0] != answers[1]:
        raise StepFailed("the registry and the contract that asks it disagree")
    return answers[0]


async def _until(dapp: Dapp, case_id: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached(seen := await dapp.case(case_id)):
        if time.monotonic() > deadline:
            raise StepFailed(f"after {PATIENCE_SECONDS:g} s the case is {seen['status']}, claim {_claim_status(seen)}")
        await asyncio.sleep(POLL_SECONDS)
    return seen


def _claim_status(case: dict[str, Any]) -> str | None:
    return case["claims"][0]["status"] if case["claims"] else None


def _moment(moves: list[dict[str, Any]], status: str) -> float:
    at = next((move["at"] for move in moves if move["kind"] == "claim" and move["to"] == status), None)
    if at is None:
        raise StepFailed(f"the timeline has no claim that became {status}")
    return datetime.fromisoformat(at).timestamp()


def _last_lines(directory: Path) -> list[str]:
    lines = []
    for name in ("anvil", "persona", "api", "daemon"):
        log = directory / f"{name}.log"
        if log.exists():
            lines += [f"{name}: {line}" for line in log.read_text(errors="replace").splitlines()[-LOG_LINES:]]
    return lines


@click.command(help=__doc__)
@click.option("--provider", type=click.Choice(list(VENDORS)), default="persona", help="Whose simulator checks people.")
@click.option("--kyb", is_flag=True, help="Check a business at the level `business` instead of a person.")
@click.option("--shape", type=click.Choice(SHAPES), default=INQUIRY, help="What decides the business at Persona.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line on stdout; the story goes to stderr.")
def main(as_json: bool, provider: str, kyb: bool, shape: str) -> None:
    if shape != INQUIRY and (provider != "persona" or not kyb):
        raise click.UsageError("--shape is about --kyb at Persona")
    started = float(os.environ.pop("CLAIMWRIGHT_DEMO_STARTED", "") or time.time())
    say = Teller(to_stderr=as_json, started=started)
    outcome: dict[str, Any] = {}
    level = "business" if kyb else "basic"
    asyncio.run(until_signalled(play(say, started, outcome, provider, level, shape)))
    if not outcome:
        outcome = {"ok": False, "step": say.step, "error": "interrupted"}
    if not outcome["ok"]:
        for line in outcome.pop("logs", []):
            print(line, file=sys.stderr)
        problem = outcome.get("error", "the contract's answers are not false, true, false")
        print(f"demo: failed at: {outcome.get('step', say.step)}: {problem}", file=sys.stderr)
    if as_json:
        print(json.dumps(outcome), flush=True)
    elif outcome["ok"]:
        say("done; nothing is left running")
    raise SystemExit(0 if outcome["ok"] else 1)


if __name__ == "__main__":
    main()
