"""Sumsub: signed requests, applicants by external id, `sandboxMode` as text, times that look like no standard."""

from __future__ import annotations

import hmac
import secrets
import time
from datetime import UTC, datetime
from hashlib import sha256

from scripts.vendor_simulators.base import Check, Json, Refused, Reply, Request, Simulator, answer

REVIEW: dict[str, tuple[str, Json | None, str]] = {
    "create": ("init", None, "applicantCreated"),
    "start": ("init", None, "applicantCreated"),
    "submit": ("pending", None, "applicantPending"),
    "review": ("onHold", None, "applicantOnHold"),
    "approve": ("completed", {"reviewAnswer": "GREEN"}, "applicantReviewed"),
    "decline": (
        "completed",
        {"reviewAnswer": "RED", "reviewRejectType": "FINAL", "rejectLabels": ["FORGERY"]},
        "applicantReviewed",
    ),
    "retry": ("completed", {"reviewAnswer": "RED", "reviewRejectType": "RETRY"}, "applicantReviewed"),
    "expire": ("init", None, "applicantReset"),
    "delete": ("completed", None, "applicantDeleted"),
}
CLOCK_SLACK = 60


class Sumsub(Simulator):
    name = "sumsub"

    def api_key(self) -> str:
        return self.env["SUMSUB_APP_TOKEN"]

    def api(self, request: Request) -> Reply:
        self._authenticate(request)
        told = request.json()
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["resources", "applicants"]:
                return self._made(str(told.get("externalUserId", "")), request.query.get("levelName", ""))
            case "GET", ["resources", "applicants", which, "one"]:
                _, by_user, user_id = which.partition("-;externalUserId=")
                return answer(self._one(self._of_user(user_id) if by_user else self.find(which)))
            case "POST", ["resources", "sdkIntegrations", "levels", "-", "websdkLink"]:
                check = self._of_user(str(told.get("userId")))
                check.callback = (told.get("redirect") or {}).get("successUrl")
                return answer({"url": self.enter_url(check)})
        raise Refused(404, "not found")

    def _authenticate(self, request: Request) -> None:
        at = request.headers.get("x-app-access-ts", "")
        signed = f"{at}{request.method}{request.target}".encode() + request.body
        expected = hmac.new(self.env["SUMSUB_SECRET_KEY"].encode(), signed, sha256).hexdigest()
        fresh = at.isdecimal() and abs(time.time() - int(at)) <= CLOCK_SLACK
        token = hmac.compare_digest(request.headers.get("x-app-token", ""), self.api_key())
        if not (token and fresh and hmac.compare_digest(request.headers.get("x-app-access-sig", ""), expected)):
            raise Refused(401, "the request is not signed")

    def _of_user(self, user_id: str) -> Check:
        found = [check for check in self.checks.values() if check.reference == user_id]
        if not found:
            raise Refused(404, "not found")
        return found[0]

    def _made(self, user_id: str, level: str) -> Reply:
        if not user_id or not level:
            raise Refused(400, "externalUserId and levelName are required")
        if any(check.reference == user_id for check in self.checks.values()):
            raise Refused(409, "an applicant with this externalUserId exists")
        return answer(self._one(self.make(user_id, level, check_id=secrets.token_hex(12))), 201)

    def _one(self, check: Check) -> Json:
        status, result, _ = REVIEW[check.act]
        review: Json = {"reviewStatus": status, "levelName": check.template, "createDate": _plain(check.made_at)}
        if result is not None:
            review |= {"reviewResult": result, "reviewDate": _plain(check.changed_at)}
        return {
            "id": check.id,
            "externalUserId": check.reference,
            "createdAt": _plain(check.made_at),
            "info": {"firstName": self.CANARY},
            "review": review,
            **({"deleted": True} if check.act == "delete" else {}),
        }

    def webhook(self, check: Check) -> Json | None:
        status, result, kind = REVIEW[check.act]
        return {
            "applicantId": check.id,
            "applicantType": "individual",
            "levelName": check.template,
            "externalUserId": check.reference,
            "type": kind,
            "sandboxMode": "true",
            "reviewStatus": status,
            **({"reviewResult": result} if result else {}),
            "createdAtMs": f"{datetime.fromtimestamp(check.changed_at, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3],
        }

    def signed(self, body: bytes) -> dict[str, str]:
        digest = hmac.new(self.env["SUMSUB_WEBHOOK_SECRET"].encode(), body, sha256).hexdigest()
        return {"X-Payload-Digest": digest, "X-Payload-Digest-Alg": "HMAC_SHA256_HEX"}


def _plain(at: float) -> str:
    """Sumsub writes whole seconds; the fraction that it also knows is kept here so that tests need not wait."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + "+0000"
