"""Whatever a node answers, an endpoint gives a checked value or one of two errors, and never shows its URL."""

import asyncio
import contextlib
import itertools
import json
import logging
import traceback

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain import jsonrpc as module
from issuer.chain import wire
from issuer.chain.eip1559 import transaction_hash
from issuer.chain.endpoint import Endpoint
from issuer.chain.errors import SendResult
from issuer.chain.jsonrpc import BATCH_ITEMS
from issuer.chain.wire import Call
from issuer.errors import ClaimwrightError, NodeRefused, NodeUnavailable, SettingsError
from issuer.secrets import Secret
from tests.lying_node import DRIP, SILENCE, LyingNode, answers, http, truthful

HASH, OTHER_HASH = "0x" + "ab" * 32, "0x" + "cd" * 32
ADDRESS = "0x" + "11" * 20
RAW = b"\x02some signed bytes"
BLOCK = {"number": "0x10", "hash": HASH, "timestamp": "0x20", "baseFeePerGas": "0x30", "miner": ADDRESS}
RECEIPT = {
    "transactionHash": HASH, "blockNumber": "0x10", "blockHash": OTHER_HASH, "status": "0x1", "gasUsed": "0x5208",
    "logs": [{"address": "0x" + "aa" * 20, "topics": [HASH], "data": "0x0102", "removed": False}],
}  # fmt: skip


async def ask(reply, question, *, timeout_seconds=5.0):
    """Put one question to a node that replies so; the answer and the node."""
    async with LyingNode(reply) as node:
        endpoint = Endpoint(Secret(node.url), timeout_seconds=timeout_seconds)
        try:
            return await question(endpoint), node
        finally:
            await endpoint.aclose()


async def failure(reply, question, **options):
    with pytest.raises(ClaimwrightError) as caught:
        await ask(reply, question, **options)
    return caught.value


def result(value):
    return lambda calls: answers(*({"jsonrpc": "2.0", "id": call["id"], "result": value} for call in calls))


def error(code, message):
    shown = {"code": code, "message": message}
    return lambda calls: answers(*({"jsonrpc": "2.0", "id": call["id"], "error": shown} for call in calls))


async def chain_id(endpoint):
    return await endpoint.chain_id()


async def test_head_is_read():
    head, _ = await ask(result(BLOCK), lambda endpoint: endpoint.head())
    assert (head.number, head.hash, head.timestamp, head.base_fee) == (16, HASH, 32, 48)


async def test_receipts_keep_their_order_and_name_what_is_missing():
    def reply(calls):
        by_hash = {HASH: RECEIPT, OTHER_HASH: None}
        found = [{"id": call["id"], "result": by_hash[call["params"][0]]} for call in calls]
        return answers(*reversed(found))  # a batch may be answered in any order

    (missing, found), node = await ask(reply, lambda endpoint: endpoint.receipts([OTHER_HASH, HASH]))
    assert missing is None
    assert (found.tx_hash, found.block_number, found.succeeded, found.gas_used) == (HASH, 16, True, 21_000)
    assert found.logs == (wire.Log("0xaAaAaAaaAaAaAaaAaAAAAAAAAaaaAaAaAaaAaaAa", (bytes([0xAB]) * 32,), b"\x01\x02"),)
    assert len(node.requests) == 1


async def test_a_receipt_without_a_block_is_not_mined():
    pending = {**RECEIPT, "blockHash": None, "blockNumber": None}
    found, _ = await ask(result(pending), lambda endpoint: endpoint.receipts([HASH]))
    assert found == [None]


@pytest.mark.failure("F04")
@pytest.mark.parametrize(
    "reply",
    [
        lambda calls: answers({"id": 10**6, "result": "0x1"}),  # an id that was not asked
        lambda calls: answers({"id": str(calls[0]["id"]), "result": "0x1"}),
        lambda calls: answers(),
        lambda calls: answers(*[{"id": calls[0]["id"], "result": "0x1"}] * 2),  # which of the two?
        lambda calls: answers({"id": calls[0]["id"]}),
        lambda calls: answers({"id": None, "result": "0x1"}),
        lambda calls: http(b'{"jsonrpc": "2.0", "id": 1, "result": "0x1"}'),  # one answer to a batch
        lambda calls: http(b"<html>busy</html>"),
        lambda calls: http(b""),
        lambda calls: http(b"\xff\xfe"),
        lambda calls: http(b"[" * 100_000),
        lambda calls: http(b"null"),
        lambda calls: None,
        lambda calls: b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[",  # cut off
        lambda calls: http(b"", "500 Internal Server Error"),
        lambda calls: http(b"", "503 Service Unavailable"),
        lambda calls: http(b"", "429 Too Many Requests"),
        lambda calls: http(b"\x1f\x8b", "200 OK", "Content-Encoding: gzip"),
        error(-32005, "limit exceeded"),
        error(-32603, "internal error"),
        *(result(value) for value in (None, 1, "1", "0x", "0xg", "", [], {}, True, "0x" + "1" * 65, "0x1\n")),
    ],
)
async def test_a_read_of_anything_but_an_answer_is_unavailable(reply):
    assert isinstance(await failure(reply, chain_id), NodeUnavailable)


@pytest.mark.parametrize("reply", [SILENCE, DRIP])
async def test_a_node_that_does_not_come_to_an_end_is_given_up(reply):
    async with asyncio.timeout(5):
        assert isinstance(await failure(lambda calls: reply, chain_id, timeout_seconds=0.2), NodeUnavailable)


async def test_an_answer_without_end_is_cut(monkeypatch):
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 1000)
    reply = result("0x" + "00" * 1000)
    assert "larger than" in (await failure(reply, lambda endpoint: endpoint.code(ADDRESS))).message


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (error(-32601, "no such method"), -32601),
        (lambda calls: http(b"", "401 Unauthorized"), None),
        (lambda calls: http(b"", "302 Found", "Location: http://127.0.0.1:1/"), None),
    ],
)
async def test_a_no_is_told_apart_and_not_asked_again(reply, code):
    asked = itertools.count(1)

    def counted(calls):
        assert next(asked) == 1
        return reply(calls)

    refusal = await failure(counted, chain_id)
    assert isinstance(refusal, NodeRefused)
    assert refusal.rpc_code == code


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("head", {**BLOCK, "baseFeePerGas": None}),
        ("head", {key: BLOCK[key] for key in ("number", "hash", "timestamp")}),
        ("head", {**BLOCK, "hash": "0x12"}),
        ("block_hash", {**BLOCK, "number": "0x11"}),  # another block than the one asked for
        ("receipts", {**RECEIPT, "transactionHash": OTHER_HASH}),
        ("receipts", {**RECEIPT, "status": "0x2"}),
        ("receipts", {key: RECEIPT[key] for key in RECEIPT if key != "status"}),
        ("receipts", {**RECEIPT, "logs": [{"address": "0x11", "topics": [], "data": "0x"}]}),
        ("receipts", {**RECEIPT, "logs": [{"address": ADDRESS, "topics": [HASH] * 5, "data": "0x"}]}),
        ("receipts", {**RECEIPT, "logs": [{"address": ADDRESS, "topics": ["0x01"], "data": "0x"}]}),
        ("receipts", {**RECEIPT, "logs": None}),
        ("transaction_known", {"hash": OTHER_HASH}),
        ("call", "0x123"),
        ("code", "0xzz"),
    ],
)
async def test_a_value_of_another_shape_or_of_something_else_is_unavailable(method, value):
    argument = {"receipts": [HASH], "transaction_known": HASH, "block_hash": 16, "code": ADDRESS}
    argument["call"] = [Call(ADDRESS, b"")]

    async def question(endpoint):
        return await getattr(endpoint, method)(*[argument[method]] if method in argument else [])

    assert isinstance(await failure(result(value), question), NodeUnavailable)


async def test_a_call_that_reverts_is_none_and_its_neighbours_stand():
    def reply(calls):
        first, second = calls
        revert = {"code": 3, "message": "execution reverted", "data": "0x"}
        return answers({"id": first["id"], "error": revert}, {"id": second["id"], "result": "0x01"})

    found, _ = await ask(
        reply, lambda endpoint: endpoint.call([Call(ADDRESS, b"\x01"), Call(ADDRESS, b"\x02", ADDRESS)])
    )
    assert found == [None, b"\x01"]


async def test_head_and_calls_are_one_request():
    reply = lambda calls: truthful(calls, {"eth_getBlockByNumber": BLOCK, "eth_call": "0x05"})  # noqa: E731
    (head, found), node = await ask(reply, lambda endpoint: endpoint.snapshot([Call(ADDRESS, b"")] * 3))
    assert (head.number, found) == (16, [b"\x05"] * 3)
    assert [[call["method"] for call in calls] for calls in node.requests] == [
        ["eth_getBlockByNumber", "eth_call", "eth_call", "eth_call"]
    ]


async def test_many_questions_make_batches_that_nodes_take():
    count = 2 * BATCH_ITEMS + 1
    found, node = await ask(result("0x05"), lambda endpoint: endpoint.call([Call(ADDRESS, b"")] * count))
    assert found == [b"\x05"] * count
    assert [len(calls) for calls in node.requests] == [BATCH_ITEMS, BATCH_ITEMS, 1]


@pytest.mark.parametrize("limit", [0, 1, 3, 60])
@pytest.mark.parametrize(
    "refusal",
    [
        http(b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "batch requests are not allowed"}}'),
        http(b"", "413 Content Too Large"),
    ],
)
async def test_a_node_that_takes_smaller_batches_or_none_is_asked_so(limit, refusal):
    def reply(calls):
        if isinstance(calls, dict):
            return http(json.dumps({"id": calls["id"], "result": calls["params"][0]["data"]}).encode())
        if len(calls) > limit:
            return refusal
        return answers(*({"id": call["id"], "result": call["params"][0]["data"]} for call in calls))

    count, sizes = 70, []
    asked = [Call(ADDRESS, bytes([number])) for number in range(count)]
    async with LyingNode(lambda calls: sizes.append(calls) or reply(calls)) as node:
        endpoint = Endpoint(Secret(node.url))
        assert await endpoint.call(asked) == [call.data for call in asked]
        tries = len(sizes)
        assert await endpoint.call(asked) == [call.data for call in asked]
        assert len(sizes) - tries <= max(count / max(limit, 1) * 2, 2)  # what it takes was learned
        await endpoint.aclose()


async def test_the_head_is_asked_first_of_a_node_that_takes_no_batches():
    def reply(calls):
        if isinstance(calls, list):
            return http(b'{"id": null, "error": {"code": -32600, "message": "no batches"}}')
        value = BLOCK if calls["method"] == "eth_getBlockByNumber" else "0x05"
        return http(json.dumps({"id": calls["id"], "result": value}).encode())

    (head, found), node = await ask(reply, lambda endpoint: endpoint.snapshot([Call(ADDRESS, b"")] * 3))
    assert (head.number, found) == (16, [b"\x05"] * 3)
    assert next(call["method"] for call in node.requests if isinstance(call, dict)) == "eth_getBlockByNumber"


async def test_how_long_a_node_wants_to_be_left_alone_is_read():
    limited = lambda wait: lambda calls: http(b"", "429 Too Many Requests", f"Retry-After: {wait}")  # noqa: E731
    for told, read in (("7", 7), ("86400", 60), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("-1", 0), ("x", 0)):
        assert (await failure(limited(told), chain_id)).retry_after == read


async def test_a_node_without_an_opinion_on_tips():
    found, _ = await ask(error(-32601, "not found"), lambda endpoint: endpoint.suggested_tip())
    assert found == 0


async def test_nothing_to_ask_asks_nothing():
    found, node = await ask(result("0x1"), lambda endpoint: endpoint.call([]))
    assert (found, node.requests) == ([], [])


# -- sending


async def sent(reply, raw=(RAW,), **options):
    outcomes, node = await ask(reply, lambda endpoint: endpoint.send(raw), **options)
    return [outcome.result for outcome in outcomes], node


async def test_bytes_are_accepted_when_the_node_names_their_hash():
    results, node = await sent(result(transaction_hash(RAW)))
    assert results == [SendResult.ACCEPTED]
    assert node.requests[0][0]["params"] == ["0x" + RAW.hex()]


@pytest.mark.failure("F02", "F04")
@pytest.mark.parametrize(
    "reply",
    [
        result(HASH),  # the hash of something else
        result(None),
        result("0x"),
        error(-32000, "a phrase of its own"),
        error(-32603, "internal error"),
        lambda calls: answers({"id": 10**6, "result": transaction_hash(RAW)}),
        lambda calls: answers(*[{"id": calls[0]["id"], "result": transaction_hash(RAW)}] * 2),
        lambda calls: answers({"id": calls[0]["id"]}),
        lambda calls: answers(),
        lambda calls: http(b"garbage"),
        lambda calls: http(b"", "429 Too Many Requests"),
        lambda calls: http(b"", "500 Internal Server Error"),
        lambda calls: http(b"", "401 Unauthorized"),
        lambda calls: None,  # taken, then the line went dead
    ],
)
async def test_a_send_without_a_clear_answer_is_unknown_and_made_once(reply):
    results, node = await sent(reply)
    assert results == [SendResult.UNKNOWN]
    assert len(node.requests) == 1


async def test_a_send_that_times_out_is_unknown():
    results, _ = await sent(lambda calls: SILENCE, timeout_seconds=0.05)
    assert results == [SendResult.UNKNOWN]


async def test_each_item_of_a_batch_has_its_own_outcome():
    items = [bytes([2, number]) for number in range(4)]

    def reply(calls):
        ids = [call["id"] for call in calls]
        return answers(
            {"id": ids[3], "error": {"code": -32003, "message": "Insufficient funds for gas * price + value"}},
            {"id": ids[0], "result": transaction_hash(items[0])},
            {"id": ids[1], "error": {"code": -32000, "message": "already known"}},
        )

    results, _ = await sent(reply, items)
    assert results == [SendResult.ACCEPTED, SendResult.KNOWN, SendResult.UNKNOWN, SendResult.FUNDS]


async def test_after_a_lost_batch_the_next_is_not_sent():
    items = [number.to_bytes(2, "big") for number in range(BATCH_ITEMS + 5)]
    results, node = await sent(lambda calls: None, items)
    assert results == [SendResult.UNKNOWN] * len(items)
    assert len(node.requests) == 1


async def test_bytes_refused_as_a_batch_are_sent_one_by_one():
    items = [bytes([2, number]) for number in range(3)]

    def reply(calls):
        if isinstance(calls, list):
            return http(b'{"error": {"code": -32600, "message": "nonce too low"}}')  # of what in the batch?
        raw = bytes.fromhex(calls["params"][0][2:])
        return http(json.dumps({"id": calls["id"], "result": transaction_hash(raw)}).encode())

    results, node = await sent(reply, items)
    assert results == [SendResult.ACCEPTED] * 3
    assert [calls["params"][0] for calls in node.requests if isinstance(calls, dict)] == [
        f"0x{item.hex()}" for item in items
    ]


# -- what is never shown


KEY = "very-secret-key"


@pytest.mark.parametrize(
    "reply", [lambda calls: None, lambda calls: http(b"", "401 x"), error(-32601, KEY), error(-32603, KEY)]
)
async def test_neither_the_url_nor_the_nodes_words_are_shown(reply, caplog):
    caplog.set_level(logging.DEBUG)
    async with LyingNode(reply) as node:
        url = node.url
        endpoint = Endpoint(Secret(f"{url}/v2/{KEY}"))
        with pytest.raises(ClaimwrightError) as caught:
            await endpoint.chain_id()
        await endpoint.send([RAW])
        await endpoint.aclose()
    assert KEY.encode() in node.headers[0]  # it did reach the wire
    shown = "".join(traceback.format_exception(caught.value)) + repr(endpoint) + caplog.text
    assert KEY not in shown
    assert url not in shown
    assert caught.value.__context__ is None


@pytest.mark.parametrize("url", ["", KEY, f"ftp://{KEY}", f"http:///{KEY}", f"http://[{KEY}", f"http://{KEY}:x/"])
def test_a_url_that_is_none_is_refused_without_quoting_it(url):
    with pytest.raises(SettingsError) as caught:
        Endpoint(Secret(url))
    assert str(caught.value) == "CLAIMWRIGHT_RPC_URL: is not an http or https URL"


async def test_a_borrowed_client_is_not_closed():
    async with httpx.AsyncClient() as http_client:
        await Endpoint(Secret("http://127.0.0.1:1"), http=http_client).aclose()
        assert not http_client.is_closed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([HASH, ADDRESS, "0x1", "0x"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*RECEIPT, *BLOCK, "topics", "address", "data"]), inner, max_size=6)
    ),
    max_leaves=20,
)


@given(JSON)
def test_every_reader_gives_a_value_or_says_garbled(value):
    raw = wire.msgspec.Raw(json.dumps(value).encode())
    readers = [
        wire.quantity, wire.data, wire.tx_hash, wire.head, lambda raw: wire.block_hash(raw, 1),
        lambda raw: wire.transaction_known(raw, HASH), lambda raw: wire.is_mined(raw, HASH),
        lambda raw: wire.receipt(raw, HASH),
    ]  # fmt: skip
    for reader in readers:
        with contextlib.suppress(wire.Garbled):
            reader(raw)
