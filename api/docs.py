"""The OpenAPI document at /schema/openapi.json, and a page at /schema that needs nothing from the internet."""

from pathlib import Path
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, Router, get
from litestar.enums import OpenAPIMediaType
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server, Tag
from litestar.params import FromPath
from swagger_ui_bundle import swagger_ui_path

from api import errors
from api.described import described
from api.edge import Headers

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
    "start.js": "text/javascript",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Claimwright API</title>
<link rel="icon" href="/schema/assets/favicon-32x32.png">
<link rel="stylesheet" href="/schema/assets/swagger-ui.css">
</head>
<body>
<main id="page"></main>
<script src="/schema/assets/swagger-ui-bundle.js"></script>
<script src="/schema/assets/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/schema/page.json",
  dom_id: "#page",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""


def document() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Claimwright",
        version="1",
        summary="From a KYC decision to an on-chain identity claim.",
        description=(
            "Open a case for a wallet, send the person to the session's URL, and watch the case until its claims are "
            "`confirmed`. Errors are `application/problem+json` with a stable `type`. Times are RFC 3339 in UTC, "
            "addresses EIP-55, ids opaque and sortable by time."
        ),
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http", scheme="bearer", description="An API key: `cwk_` and 43 characters."
                )
            }
        ),
        servers=[Server(url="/")],
        tags=[
            Tag(name="cases", description="One attempt of one subject at one level."),
            Tag(name="claims", description="One ERC-735 claim on one Identity on one chain."),
            Tag(name="subjects", description="The person or business behind a wallet."),
            Tag(name="reviews", description="Cases that wait for a person, and what people rule."),
            Tag(name="reports", description="Where people are lost."),
            Tag(name="levels", description="Named policies."),
            Tag(name="webhooks", description="Where providers ring; signed by them, no API key."),
            Tag(name="health"),
        ],
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        render_plugins=(Page(path="/"), Document(path="/openapi.json"), PageDocument(path="/page.json")),
        openapi_router=Router(
            path="/schema",
            include_in_schema=False,
            middleware=[Headers(content_security_policy=POLICY, x_frame_options="DENY")],
            after_request=_no_default_page,
            route_handlers=[show_asset],
        ),
    )


def _operation_id(handler: HTTPRouteHandler, _method: object, _path: object) -> str:
    """`createCase` from `create_case`: a name that a client generator can use."""
    first, *rest = handler.handler_name.split("_")
    return first + "".join(word.title() for word in rest)


class Page(OpenAPIRenderPlugin):
    """The page itself; it fetches the document, so it is the same for every version of it."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return _PAGE.encode()


class Document(OpenAPIRenderPlugin):
    media_type = OpenAPIMediaType.OPENAPI_JSON

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return msgspec.json.encode(described(openapi_schema))


class PageDocument(OpenAPIRenderPlugin):
    """The same document in the words of OpenAPI 3.0, which the bundled page speaks."""

    media_type = MediaType.JSON

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return msgspec.json.encode(_in_older_words(described(openapi_schema)) | {"openapi": "3.0.3"})


@get("/assets/{name:str}", include_in_schema=False, sync_to_thread=False)
def show_asset(name: FromPath[str]) -> Response[bytes]:
    if name not in ASSETS:
        raise NotFoundException
    content = _START.encode() if name == "start.js" else (Path(str(swagger_ui_path)) / name).read_bytes()
    return Response(content, media_type=ASSETS[name], headers={"cache-control": "public, max-age=3600"})


def _no_default_page(response: Response[Any]) -> Response[Any]:
    """Litestar answers an unknown path below /schema with a page of its own."""
    return errors.answer(404, "not-found", "Not Found.") if response.status_code == 404 else response


def _in_older_words(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """3.1 says null as a type, and lists examples; 3.0 says `nullable` and has one."""
    if isinstance(value, list):
        return [_in_older_words(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _in_older_words(item) for key, item in value.items()}
    for word in ("oneOf", "anyOf"):
        options = changed.get(word)
        if isinstance(options, list) and {"type": "null"} in options:
            left = [option for option in options if option != {"type": "null"}]
            changed.pop(word)
            changed |= {"nullable": True} | (left[0] if len(left) == 1 else {word: left})
    if isinstance(changed.get("type"), list):
        named = [name for name in changed["type"] if name != "null"]
        changed |= {"type": named[0], "nullable": "null" in changed["type"]}
    if isinstance(changed.get("examples"), list):
        examples = changed.pop("examples")
        changed |= {"example": examples[0]} if examples else {}
    return changed
