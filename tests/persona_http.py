"""The one question that a daemon asks Persona, answered over HTTP from readings that a test holds.

For those who need a real daemon process but no inquiry flow; everything else is `scripts/persona_simulator`.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime

from issuer.providers.protocol import Outcome, Reading

STATUS = {Outcome.STARTED: "pending", Outcome.SUBMITTED: "completed", Outcome.IN_REVIEW: "needs_review"}


class PersonaHttp:
    """`readings` by check ref; looked at when the question comes. `down`: closes the connection instead."""

    def __init__(self, readings: Mapping[str, Reading]) -> None:
        self.readings = readings
        self.down = False
        self.asked = 0

    async def __aenter__(self) -> "PersonaHttp":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await _head(reader):
                self.asked += 1
                if self.down:
                    return
                reading = self.readings.get(head.split(b" ", 2)[1].decode().partition("?")[0].rpartition("/")[2])
                writer.write(_answer(reading))
                await writer.drain()
        except ConnectionError:
            pass  # the daemon was killed, which is what these tests are about
        finally:
            writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def _answer(reading: Reading | None) -> bytes:
    status = "404 Not Found" if reading is None else "200 OK"
    body = json.dumps({"errors": [{"title": "Not found"}]} if reading is None else {"data": _inquiry(reading)}).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _inquiry(reading: Reading) -> dict[str, object]:
    return {
        "type": "inquiry",
        "id": reading.check_ref,
        "attributes": {
            "status": STATUS.get(reading.outcome, reading.outcome.value),
            "reference-id": reading.reference,
            "updated-at": _moment(reading.evidence_at),
            "decisioned-at": _moment(reading.decided_at),
            "redacted-at": _moment(reading.evidence_at) if reading.redacted else None,
        },
        "relationships": {"inquiry-template": {"data": {"type": "inquiry-template", "id": reading.template}}},
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
