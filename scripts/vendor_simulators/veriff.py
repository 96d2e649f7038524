"""Veriff: sessions, decisions that are null until there is one, answers signed like webhooks."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256

from scripts.vendor_simulators.base import Check, Json, Refused, Reply, Request, Simulator, iso

DECISIONS = {
    "approve": ("approved", 9001),
    "decline": ("declined", 9102),
    "retry": ("resubmission_requested", 9103),
    "expire": ("expired", 9104),
    "review": ("review", 9121),
}
EVENTS = {"start": ("started", 7001), "submit": ("submitted", 7002)}


class Veriff(Simulator):
    name = "veriff"

    def api_key(self) -> str:
        return self.env["VERIFF_API_KEY"]

    def api(self, request: Request) -> Reply:
        if not hmac.compare_digest(request.headers.get("x-auth-client", ""), self.api_key()):
            raise Refused(401, "unknown key")
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["v1", "sessions"]:
                told = request.json().get("verification") or {}
                check = self.make(str(told.get("vendorData", "")), "default", told.get("callback"))
                return self._reply(self._made(check), 201)
            case "GET", ["v1", "sessions", session, "decision"]:
                signature = request.headers.get("x-hmac-signature", "")
                if not hmac.compare_digest(signature, self._digest(session.encode())):
                    raise Refused(401, "the session id is not signed")
                check = self.find(session)
                return self._reply({"status": "success", "verification": self._decision(check)})
        raise Refused(404, "not found")

    def _made(self, check: Check) -> Json:
        made = {"id": check.id, "url": self.enter_url(check), "vendorData": check.reference, "status": "created"}
        return {"status": "success", "verification": {**made, "host": self.base_url, "sessionToken": f"t.{check.id}"}}

    def _decision(self, check: Check) -> Json | None:
        if check.act not in DECISIONS:
            return None
        status, code = DECISIONS[check.act]
        return {
            "id": check.id,
            "attemptId": f"{check.id[:-4]}{check.attempt:04d}",
            "code": code,
            "status": status,
            "reason": None,
            "reasonCode": 102 if status == "declined" else None,
            "vendorData": check.reference,
            "decisionTime": iso(check.changed_at, digits=6),
            "acceptanceTime": iso(check.made_at, digits=3),
            "person": {"firstName": self.CANARY},
        }

    def webhook(self, check: Check) -> Json | None:
        if check.act in EVENTS:
            action, code = EVENTS[check.act]
            attempt = f"{check.id[:-4]}{check.attempt:04d}"
            event = {"id": check.id, "attemptId": attempt, "feature": "selfid", "code": code, "action": action}
            return {**event, "vendorData": check.reference}
        decision = self._decision(check)
        return (
            None if decision is None else {"status": "success", "verification": decision, "technicalData": {"ip": ""}}
        )

    def signed(self, body: bytes) -> dict[str, str]:
        return {"X-HMAC-SIGNATURE": self._digest(body), "X-AUTH-CLIENT": self.api_key()}

    def _reply(self, document: Json, status: int = 200) -> Reply:
        body = json.dumps(document).encode()
        return Reply(status, body, {"vrf-auth-client": self.api_key(), "vrf-hmac-signature": self._digest(body)})

    def _digest(self, body: bytes) -> str:
        return hmac.new(self.env["VERIFF_SHARED_SECRET"].encode(), body, sha256).hexdigest()
