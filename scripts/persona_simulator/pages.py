"""``/verify`` (hosted) and ``/widget`` (embedded): plain pages with buttons.

The hosted page runs no script at all. The embedded one runs a single file that posts the
messages which npm `persona` expects from its frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from litestar import Response, get, post
from litestar.response import Redirect

from scripts.persona_simulator import flow, html
from scripts.persona_simulator.calls import Call
from scripts.persona_simulator.errors import not_found
from scripts.persona_simulator.flow import Turned, Visit
from scripts.persona_simulator.state import World
from scripts.persona_simulator.wire import Json, JsonObject

STATIC = {
    "page.css": ("text/css; charset=utf-8", Path(__file__).with_name("static") / "page.css"),
    "widget.js": ("text/javascript; charset=utf-8", Path(__file__).with_name("static") / "widget.js"),
}
FRAMED_BY = "http://localhost:* http://127.0.0.1:*"


def _show(
    content: bytes, *, status: int = 200, frames: str = "'none'", script: str = "'none'", forms: str = "'self'"
) -> Response[bytes]:
    policy = (
        f"default-src 'none'; style-src 'self'; script-src {script}; form-action {forms}; "
        f"base-uri 'none'; frame-ancestors {frames}"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, status_code=status, media_type="text/html; charset=utf-8", headers=headers)


async def _form(request: Call) -> dict[str, str]:
    return {key: value for key, value in (await request.form()).items() if isinstance(value, str)}


def _hidden(visit: Visit) -> dict[str, str]:
    kept = {"inquiry-id": visit.item.id, "session-token": visit.token}
    return kept | ({"redirect-uri": visit.redirect_uri} if visit.redirect_uri else {})


def _choices(visit: Visit, action: str, hidden: Mapping[str, str]) -> tuple[str, str]:
    """Title and content of the page that offers the visit's choices, if there are any."""
    if visit.choices == flow.CHECKS:
        return "Verify your identity", html.buttons(action, hidden, visit.choices)
    if visit.choices:
        said = html.paragraph(f"The checks have {_outcome(visit)}. What does the reviewer decide?")
        return "Decision", said + html.buttons(action, hidden, visit.choices)
    return "Done", html.paragraph("You can close this page.")


def _outcome(visit: Visit) -> str:
    return "passed" if visit.item.status == "completed" else "failed"


@get("/verify")
async def verify(request: Call, world: World) -> Response[bytes]:
    try:
        visit = flow.let_in(world, dict(request.query_params))
    except Turned as turned:
        return _show(html.page(turned.title, ""), status=turned.status)
    return _hosted(visit)


@post("/verify", status_code=200)
async def verify_step(request: Call, world: World) -> Response[bytes] | Redirect:
    form = await _form(request)
    action = form.get("action", "")
    try:
        visit = flow.let_in(world, form)
        flow.act(world, visit, action)
    except Turned as turned:
        return _show(html.page(turned.title, ""), status=turned.status)
    if action == "abandon":
        return _show(html.page("You left", html.paragraph("The inquiry stays pending.")))
    if action in flow.DECISIONS and visit.redirect_uri:
        back = flow.way_back(visit, visit.redirect_uri)
        return Redirect(back, status_code=303, headers={"Referrer-Policy": "no-referrer"})
    if action in flow.DECISIONS:
        return _show(html.page("Done", html.paragraph("You can close this page.")))
    return _hosted(visit)


def _hosted(visit: Visit) -> Response[bytes]:
    title, content = _choices(visit, "/verify", _hidden(visit))
    # Browsers hold the redirect after a form to form-action too, so its origin is named.
    forms = f"'self' {flow.origin_of(visit.redirect_uri)}" if visit.redirect_uri else "'self'"
    return _show(html.page(title, content), forms=forms)


@get("/s/{code:str}")
async def short_link(code: str) -> Redirect:
    return Redirect(f"/verify?code={quote(code)}", status_code=302)


@get("/widget")
async def widget(request: Call, world: World) -> Response[bytes]:
    return _embedded(world, dict(request.query_params), None)


@post("/widget", status_code=200)
async def widget_step(request: Call, world: World) -> Response[bytes]:
    form = await _form(request)
    return _embedded(world, form, form.get("action", ""))


def _embedded(world: World, params: Mapping[str, str], action: str | None) -> Response[bytes]:
    """One page of the frame; `action` is what was pressed, None for the first page."""
    origin = params.get("iframe-origin", "")
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or parts.hostname not in ("localhost", "127.0.0.1"):
        return _show(html.page("Embedding is allowed from this computer only", ""), status=422)
    try:
        visit = flow.let_in(world, params)
        if action is not None:
            flow.act(world, visit, action)
    except Turned as turned:
        error = {"status": turned.status, "code": turned.code}
        said = [_message(params, "load"), _message(params, "error", error=error)]
        frame = {"messages": said, "origin": origin, "exit": _message(params, "exit", metadata={})}
        return _frame(html.page(turned.title, "", frame), status=turned.status)
    hidden = _hidden(visit) | {"container-id": params.get("container-id", ""), "iframe-origin": origin}
    finished = action in flow.DECISIONS or action == "abandon"
    title, content = ("Done", "") if finished else _choices(visit, "/widget", hidden)
    exit_ = _message(params, "exit", metadata={"inquiryId": visit.item.id, "sessionToken": visit.token})
    said = _said(visit, params, action, exit_)
    return _frame(html.page(title, content, {"messages": said, "origin": origin, "exit": exit_}))


def _frame(content: bytes, status: int = 200) -> Response[bytes]:
    return _show(content, status=status, frames=FRAMED_BY, script="'self'")


def _said(visit: Visit, params: Mapping[str, str], action: str | None, exit_: JsonObject) -> list[JsonObject]:
    """What the frame tells the embedding page when this page has loaded."""
    if action is None:
        return [_message(params, "load"), _message(params, "ready", metadata={})]
    if action == "abandon":
        return [exit_]
    if action in flow.CHECKS:
        start = _message(params, "start", metadata={"inquiryId": visit.item.id})
        return [start, _message(params, "page-change", metadata={"pathname": "decision"})]
    item = visit.item
    metadata = {"inquiryId": item.id, "status": item.status, "fields": item.fields}
    return [_message(params, "fail" if item.status == "failed" else "complete", metadata=metadata)]


def _message(params: Mapping[str, str], name: str, **more: Json) -> JsonObject:
    return {"name": name, "containerId": params.get("container-id", ""), **more}


@get("/preload")
async def preload() -> Response[bytes]:
    return _frame(html.page("Preload", ""))


@get("/sim-assets/{name:str}")
async def asset(name: str) -> Response[bytes]:
    if name not in STATIC:
        raise not_found()
    media_type, path = STATIC[name]
    return Response(path.read_bytes(), media_type=media_type)


ROUTES = [verify, verify_step, short_link, widget, widget_step, preload, asset]
