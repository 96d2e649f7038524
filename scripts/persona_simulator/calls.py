"""Reading an API request and writing its answer; shared by all endpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from litestar import Request, Response

from scripts.persona_simulator.blocklist import Blocklist
from scripts.persona_simulator.errors import bad_request, not_found
from scripts.persona_simulator.inflection import inflect, kebab, read_keys
from scripts.persona_simulator.model import Snapshot
from scripts.persona_simulator.serialise import FLAT_VERSION, View, select_included
from scripts.persona_simulator.state import World
from scripts.persona_simulator.wire import JsonObject, encode

Call = Request[Any, Any, Any]
T = TypeVar("T")


async def body_of(request: Call) -> JsonObject:
    """The request body with kebab keys; empty without one. Raises 400 if it is not an object."""
    raw = await request.body()
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise bad_request("the request body is not valid JSON") from error
    if not isinstance(body, dict):
        raise bad_request("the request body must be a JSON object")
    read: JsonObject = read_keys(body)
    return read


def part_of(body: JsonObject, *path: str) -> JsonObject:
    """Walk into nested objects, absent ones being empty. Raises 400 if one is no object."""
    here: Any = body
    for name in path:
        here = here.get(name)
        if here is None:
            here = {}
        if not isinstance(here, dict):
            raise bad_request(f"{'.'.join(path)} must be an object")
    return dict(here)


def view_of(request: Call, world: World) -> View:
    sparse = {
        key[7:-1]: tuple(kebab(part) for part in value.split(","))
        for key, value in request.query_params.multi_items()
        if key.startswith("fields[") and key.endswith("]")
    }
    return View(
        version=request.scope["state"]["version"],
        inflection=request.scope["state"]["inflection"],
        blocklist=Blocklist(world.settings.api_blocklist),
        sparse=sparse,
    )


def answer(status: int, document: JsonObject) -> Response[bytes]:
    return Response(
        encode(document),
        status_code=status,
        media_type="application/json; charset=utf-8",
    )


def answer_one(
    request: Call,
    world: World,
    snapshot: Snapshot,
    *,
    status: int = 200,
    meta: JsonObject | None = None,
) -> Response[bytes]:
    """Answer one resource with what ``?include=`` asks for, and `meta` if given."""
    view = view_of(request, world)
    asked = request.query_params.get("include")
    names: Sequence[str] | None = [kebab(name) for name in (asked or "").split(",") if name]
    if asked is None and view.version == FLAT_VERSION:
        names = None
    document = view.document(snapshot.data, select_included(snapshot, names))
    if meta is not None:
        document["meta"] = {inflect(key, view.inflection): value for key, value in meta.items()}
    return answer(status, document)


def one_of(request: Call, name: str, value: str | None) -> bool:
    """Whether a value passes the filter of this name: a list of values with commas, absent meaning any."""
    wanted = request.query_params.get(f"filter[{name}]")
    return wanted is None or value in wanted.split(",")


def page_of(request: Call, items: Iterable[T], id_of: Callable[[T], str]) -> tuple[list[T], JsonObject]:
    """Cut one page out of `items` (newest first) and write its relative links."""
    params = request.query_params
    try:
        size = int(params.get("page[size]") or 10)
    except ValueError as error:
        raise bad_request("page[size] must be an integer") from error
    if not 1 <= size <= 100:
        raise bad_request("page[size] must be between 1 and 100")
    everything = list(items)
    ids = [id_of(item) for item in everything]
    start, after, before = 0, params.get("page[after]"), params.get("page[before]")
    if after is not None:
        if after not in ids:
            raise bad_request("page[after] is not an object of this list")
        start = ids.index(after) + 1
    elif before is not None:
        if before not in ids:
            raise bad_request("page[before] is not an object of this list")
        start = max(ids.index(before) - size, 0)
        size = min(size, ids.index(before))
    page = everything[start : start + size]
    following = bool(page) and start + size < len(everything)
    links = {
        "prev": _link(request, "page[before]", id_of(page[0])) if page and start > 0 else None,
        "next": _link(request, "page[after]", id_of(page[-1])) if following else None,
    }
    return page, links


def _link(request: Call, name: str, value: str) -> str:
    kept = [
        (key, text) for key, text in request.query_params.multi_items() if key not in ("page[after]", "page[before]")
    ]
    query = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in [*kept, (name, value)])
    return f"{request.url.path}?{query}"


def found(table: dict[str, T], key: str) -> T:
    """Look up an object. Raises 404 ``Record not found``."""
    item = table.get(key)
    if item is None:
        raise not_found()
    return item
