"""Onfido Studio: applicants, workflow runs, webhooks with `href`s that nobody should follow."""

from __future__ import annotations

import hmac
import uuid
from hashlib import sha256

from scripts.vendor_simulators.base import Check, Json, Refused, Reply, Request, Simulator, answer, iso

STATUS = {
    "create": "awaiting_input",
    "start": "awaiting_input",
    "submit": "processing",
    "review": "review",
    "approve": "approved",
    "decline": "declined",
    "retry": "awaiting_client_input",
    "expire": "abandoned",
}
COMPLETED = frozenset({"approve", "decline", "review", "expire"})


class Onfido(Simulator):
    name = "onfido"

    def api_key(self) -> str:
        return self.env["ONFIDO_API_TOKEN"]

    def api(self, request: Request) -> Reply:
        if not hmac.compare_digest(request.headers.get("authorization", ""), f"Token token={self.api_key()}"):
            raise Refused(401, "unknown token")
        told = request.json()
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["applicants"]:
                if not told.get("first_name") or not told.get("last_name"):
                    raise Refused(422, "first_name and last_name are required")
                return answer({"id": str(uuid.uuid4())}, 201)
            case "POST", ["workflow_runs"]:
                return self._made(told)
            case "GET", ["workflow_runs", run]:
                return answer(self._run(self.find(run)))
            case "GET", ["webhooks"]:
                return answer({"webhooks": []})
        raise Refused(404, "not found")

    def _made(self, told: Json) -> Reply:
        if not told.get("workflow_id") or not told.get("applicant_id"):
            raise Refused(422, "workflow_id and applicant_id are required")
        link = told.get("link") or {}
        reference = str(told.get("customer_user_id", ""))
        check = self.make(reference, str(told["workflow_id"]), link.get("completed_redirect_url"))
        check.person = {"applicant_id": told["applicant_id"]}
        return answer(self._run(check), 201)

    def _run(self, check: Check) -> Json:
        return {
            "id": check.id,
            "applicant_id": check.person.get("applicant_id"),
            "workflow_id": check.template,
            "status": STATUS.get(check.act, "error"),
            "customer_user_id": check.reference,
            "tags": [check.reference],
            "link": {"url": self.enter_url(check)},
            "output": [{"first_name": self.CANARY}],
            "reasons": ["document_fraud"] if STATUS.get(check.act) == "declined" else [],
            "error": None,
            "created_at": iso(check.made_at, digits=3),
            "updated_at": iso(check.changed_at, digits=3),
        }

    def webhook(self, check: Check) -> Json | None:
        if check.act not in COMPLETED:
            return None
        about = {"id": check.id, "status": STATUS[check.act], "completed_at_iso8601": iso(check.changed_at)}
        return {
            "payload": {
                "resource_type": "workflow_run",
                "action": "workflow_run.completed",
                "object": {**about, "href": "https://evil.example.invalid/workflow_runs"},
                "resource": self._run(check),
            }
        }

    def signed(self, body: bytes) -> dict[str, str]:
        return {"X-SHA2-Signature": hmac.new(self.env["ONFIDO_WEBHOOK_TOKEN"].encode(), body, sha256).hexdigest()}
