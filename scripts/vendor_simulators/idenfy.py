"""iDenfy: tokens, a status without times, webhooks full of personal data."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256

from scripts.vendor_simulators.base import Check, Json, Refused, Reply, Request, Simulator, answer

STATUS = {
    "create": "ACTIVE",
    "start": "ACTIVE",
    "submit": "REVIEWING",
    "review": "SUSPECTED",
    "approve": "APPROVED",
    "decline": "DENIED",
    "retry": "ACTIVE",
    "expire": "EXPIRED",
    "delete": "DELETED",
}
SILENT = frozenset({"create", "start", "retry", "delete"})


class Idenfy(Simulator):
    name = "idenfy"

    def api_key(self) -> str:
        return self.env["IDENFY_API_KEY"]

    def api(self, request: Request) -> Reply:
        basic = base64.b64encode(f"{self.api_key()}:{self.env['IDENFY_API_SECRET']}".encode()).decode()
        if not hmac.compare_digest(request.headers.get("authorization", ""), f"Basic {basic}"):
            raise Refused(401, "unknown key")
        told = request.json()
        match request.method, request.path:
            case "POST", "/api/v2/token":
                return self._token(told)
            case "POST", "/api/v2/status":
                return answer(self._status(self.find(told.get("scanRef"))))
        raise Refused(404, "not found")

    def _token(self, told: Json) -> Reply:
        client_id = told.get("clientId")
        if not isinstance(client_id, str) or not 0 < len(client_id) <= 100 or not client_id.isascii():
            raise Refused(400, "clientId is required, at most 100 ASCII characters")
        if len(str(told.get("externalRef", ""))) > 40:
            raise Refused(400, "externalRef has at most 40 characters")
        if any(check.reference == client_id and STATUS[check.act] == "ACTIVE" for check in self.checks.values()):
            raise Refused(409, "this clientId has an active session")
        check = self.make(client_id, "default", told.get("successUrl"))
        check.person = {"externalRef": told.get("externalRef")}
        token = {"authToken": f"tok{check.id.replace('-', '')}", "scanRef": check.id, "clientId": client_id}
        return answer({**token, "redirectUrl": self.enter_url(check), "expiryTime": told.get("expiryTime")}, 201)

    def _checks(self, check: Check) -> Json:
        passed = check.act in ("approve", "review")
        return {
            "fraudTags": ["DUPLICATE_FACE"] if check.act == "review" else [],
            "mismatchTags": [],
            "autoDocument": "DOC_VALIDATED" if passed else None,
            "autoFace": "FACE_MATCH" if passed else None,
            "manualDocument": "DOC_VALIDATED" if passed else "DOC_INFO_MISMATCH" if check.act == "decline" else None,
            "manualFace": "FACE_MATCH" if passed else None,
        }

    def _status(self, check: Check) -> Json:
        return {
            **self._checks(check),
            "scanRef": check.id,
            "clientId": check.reference,
            "status": STATUS[check.act],
        }

    def webhook(self, check: Check) -> Json | None:
        if check.act in SILENT:
            return None
        return {
            "final": check.act != "submit",
            "status": {"overall": STATUS[check.act], **self._checks(check)},
            "data": {"docFirstName": self.CANARY},
            "scanRef": check.id,
            "externalRef": check.person.get("externalRef"),
            "clientId": check.reference,
            "startTime": int(check.made_at),
            "finishTime": int(check.changed_at),
        }

    def signed(self, body: bytes) -> dict[str, str]:
        key = self.env["IDENFY_SIGNING_KEY"].encode()
        return {"Idenfy-Signature": hmac.new(key, body, sha256).hexdigest()}
