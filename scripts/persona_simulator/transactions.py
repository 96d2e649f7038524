"""``/api/v1/transactions``: checks that are made of data alone, without anybody entering anything."""

from __future__ import annotations

from litestar import Response, get, patch, post

from scripts.persona_simulator import resources
from scripts.persona_simulator.calls import Call, answer, answer_one, body_of, found, one_of, page_of, part_of, view_of
from scripts.persona_simulator.errors import bad_request
from scripts.persona_simulator.ids import new_id
from scripts.persona_simulator.model import Snapshot, Transaction
from scripts.persona_simulator.state import World


@post("/transactions", status_code=201)
async def create_transaction(request: Call, world: World) -> Response[bytes]:
    attributes = part_of(await body_of(request), "data", "attributes")
    type_id = attributes.get("transaction-type-id")
    if not isinstance(type_id, str) or not type_id.startswith("txntp_"):
        raise bad_request("data.attributes.transaction-type-id must be a txntp_ id")
    now = world.clock.now()
    item = Transaction(new_id("txn"), type_id, attributes.get("reference-id"), now, now)
    item.fields = dict(attributes.get("fields") or {})
    world.transactions[item.id] = item
    world.record("transaction.created", Snapshot(resources.transaction(item), []))
    return answer_one(request, world, Snapshot(resources.transaction(item), []), status=201)


@get("/transactions")
async def list_transactions(request: Call, world: World) -> Response[bytes]:
    """Newest first; filter ``reference-id``."""
    chosen = [item for item in reversed(world.transactions.values()) if one_of(request, "reference-id", item.reference)]
    page, links = page_of(request, chosen, lambda item: item.id)
    view = view_of(request, world)
    return answer(200, {"data": [view.resource(resources.transaction(item)) for item in page], "links": links})


@get("/transactions/{transaction_id:str}")
async def get_transaction(request: Call, world: World, transaction_id: str) -> Response[bytes]:
    item = found(world.transactions, transaction_id)
    return answer_one(request, world, Snapshot(resources.transaction(item), []))


@patch("/transactions/{transaction_id:str}", status_code=200)
async def update_transaction(request: Call, world: World, transaction_id: str) -> Response[bytes]:
    """Its status is any text of the customer's; a change fires ``transaction.status-updated``."""
    item = found(world.transactions, transaction_id)
    status = part_of(await body_of(request), "data", "attributes").get("status")
    if not isinstance(status, str) or not status:
        raise bad_request("data.attributes.status is missing")
    item.status, item.updated_at = status, world.clock.now()
    world.record("transaction.status-updated", Snapshot(resources.transaction(item), []))
    return answer_one(request, world, Snapshot(resources.transaction(item), []))


ROUTES = [create_transaction, list_transactions, get_transaction, update_transaction]
