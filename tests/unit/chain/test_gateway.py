"""Which of several nodes is asked, told and believed. Each node here is real HTTP and says what its test wants."""

import asyncio
import contextlib

import pytest

from issuer.chain import gateway as module
from issuer.chain.eip1559 import transaction_hash
from issuer.chain.gateway import Gateway, SendResult
from issuer.chain.health import PAUSES, Heads, Health
from issuer.chain.wire import Head
from issuer.errors import NodeRefused, NodeUnavailable, SettingsError, WrongChain
from issuer.secrets import Secret
from tests.lying_node import SILENCE, LyingNode, answers, http

GENESIS, OTHER_GENESIS = "0x" + "aa" * 32, "0x" + "bb" * 32
CHAIN = (31337, GENESIS)
RAW = b"\x02some signed bytes"


def block(number, hash_=None):
    return {"number": hex(number), "hash": hash_ or f"0x{number:064x}", "timestamp": "0x20", "baseFeePerGas": "0x30"}


class Node:
    """A chain told by one node. `reply` answers instead while it is set; `asked` holds every method it was asked."""

    def __init__(self, *, chain_id=CHAIN[0], genesis=GENESIS, head=10):
        self.chain_id, self.genesis = chain_id, genesis
        self.head = block(head)
        self.balance = 1
        self.send = lambda raw: {"result": transaction_hash(raw)}
        self.reply = None
        self.asked = []
        self.taken = []

    def __call__(self, calls):
        self.asked += [call["method"] for call in calls]
        if self.reply is not None:
            return self.reply(calls)
        return answers(*({"id": call["id"], **self._answer(call["method"], call["params"])} for call in calls))

    def _answer(self, method, params):
        if method == "eth_sendRawTransaction":
            raw = bytes.fromhex(params[0][2:])
            self.taken.append(raw)
            return self.send(raw)
        if method == "eth_getBlockByNumber":
            return {"result": self.head if params[0] == "latest" else block(0, self.genesis)}
        return {"result": hex({"eth_chainId": self.chain_id, "eth_getBalance": self.balance}[method])}


@contextlib.asynccontextmanager
async def gateway_to(*nodes, chain=CHAIN, timeout_seconds=5.0):
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(LyingNode(node)) for node in nodes]
        gateway = Gateway([Secret(one.url) for one in servers], chain=chain, timeout_seconds=timeout_seconds)
        try:
            yield gateway
        finally:
            await gateway.aclose()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(module, "READ_PAUSES", (0, 0))
    monkeypatch.setattr(module, "SURVEY_SECONDS", 1e9)  # a test asks for it


def by_alias(gateway):
    return {one.alias: one for one in gateway.endpoints()}


async def test_one_node_serves_for_as_long_as_it_can():
    first, second = Node(), Node()
    async with gateway_to(first, second) as gateway:
        for _ in range(3):
            assert await gateway.balance("0x") == 1
    assert first.asked == ["eth_chainId", "eth_getBlockByNumber", *["eth_getBalance"] * 3]
    assert second.asked == []


@pytest.mark.failure("F04")
@pytest.mark.parametrize(
    "reply",
    [
        lambda calls: None,
        lambda calls: SILENCE,
        lambda calls: http(b"", "429 Too Many Requests"),
        lambda calls: http(b"", "503 Service Unavailable", "Retry-After: 30"),
        lambda calls: http(b"", "401 Unauthorized"),
        lambda calls: http(b"<html>"),
        lambda calls: answers(),
        lambda calls: answers(*({"id": call["id"] + 1, "result": "0x1"} for call in calls)),
        lambda calls: answers(*({"id": call["id"], "result": "one"} for call in calls)),
        lambda calls: answers(*({"id": call["id"], "error": {"code": -32005, "message": "limit"}} for call in calls)),
    ],
)
async def test_the_next_node_takes_over_and_keeps_the_work(reply):
    first, second = Node(), Node()
    async with gateway_to(first, second, timeout_seconds=0.5) as gateway:
        await gateway.balance("0x")
        first.reply = reply
        second.balance = 2
        assert await gateway.balance("0x") == 2
        first.reply = None
        assert await gateway.balance("0x") == 2  # it stays where it is served
        status = by_alias(gateway)
        assert (status["rpc-2"].in_use, status["rpc-2"].healthy) == (True, True)
        assert (status["rpc-1"].healthy, status["rpc-1"].error) in [
            (False, "node-unavailable"),
            (False, "node-refused"),
        ]


async def test_a_no_to_the_question_is_an_answer_and_asked_of_nobody_else():
    first, second = Node(), Node()
    async with gateway_to(first, second) as gateway:
        await gateway.balance("0x")
        no = {"code": -32602, "message": "no such address"}
        first.reply = lambda calls: answers(*({"id": call["id"], "error": no} for call in calls))
        with pytest.raises(NodeRefused):
            await gateway.balance("0x")
    assert second.asked == []


async def test_a_read_that_nobody_answers_is_tried_three_times():
    node = Node()
    async with gateway_to(node) as gateway:
        await gateway.balance("0x")
        replies = iter([lambda calls: None, lambda calls: http(b"", "502 Bad Gateway"), None])
        original = node.__class__.__call__

        def reply(calls):
            chosen = next(replies)
            if chosen is None:
                node.reply = None
                return original(node, calls)
            return chosen(calls)

        node.reply = reply
        assert await gateway.balance("0x") == 1
        node.asked.clear()
        node.reply = lambda calls: None
        with pytest.raises(NodeUnavailable):
            await gateway.balance("0x")
    assert len(node.asked) == 1 + 2 * 2  # then it is asked for its chain first, twice


async def test_a_node_that_asks_to_be_left_alone_is_left_alone():
    node = Node()
    async with gateway_to(node) as gateway:
        await gateway.balance("0x")
        node.reply = lambda calls: http(b"", "429 Too Many Requests", "Retry-After: 30")
        for _ in range(3):
            with pytest.raises(NodeUnavailable) as caught:
                await gateway.balance("0x")
        assert 0 < caught.value.retry_after <= 30
    assert node.asked.count("eth_getBalance") == 2


# -- on the right chain


@pytest.mark.failure("F15")
@pytest.mark.parametrize("stranger", [{"chain_id": 1}, {"genesis": OTHER_GENESIS}])
async def test_a_node_on_another_chain_is_neither_asked_nor_told_anything(stranger):
    wrong, right = Node(**stranger), Node()
    async with gateway_to(wrong, right) as gateway:
        assert await gateway.balance("0x") == 1
        assert (await gateway.send([RAW]))[0].result == SendResult.ACCEPTED
        assert by_alias(gateway)["rpc-1"].error == "wrong-chain"
    assert set(wrong.asked) == {"eth_chainId", "eth_getBlockByNumber"}
    assert wrong.taken == []


async def test_with_every_node_on_another_chain_it_says_so_by_alias():
    async with gateway_to(Node(chain_id=1), Node(chain_id=5)) as gateway:
        with pytest.raises(WrongChain, match=r"^rpc-1 is on another chain \(chain id 1,"):
            await gateway.head()
        assert (await gateway.send([RAW]))[0].result == SendResult.UNKNOWN


async def test_without_a_chain_given_the_first_that_answers_decides():
    first, second = Node(chain_id=5), Node()
    async with gateway_to(first, second, chain=None) as gateway:
        assert await gateway.chain_id() == 5
        first.reply = lambda calls: None
        with pytest.raises(NodeUnavailable):
            await gateway.head()


async def test_a_node_that_was_away_is_shown_its_chain_again():
    node = Node()
    async with gateway_to(node) as gateway:
        await gateway.balance("0x")
        node.reply = lambda calls: None
        with pytest.raises(NodeUnavailable):
            await gateway.balance("0x")
        node.reply, node.genesis = None, OTHER_GENESIS
        with pytest.raises(WrongChain):
            await gateway.balance("0x")
        node.genesis = GENESIS
        assert await gateway.balance("0x") == 1


# -- one decision, one node


@pytest.mark.failure("F15")
async def test_a_decision_is_answered_by_one_node_and_never_by_one_that_is_behind():
    ahead, behind = Node(head=11), Node(head=10)
    async with gateway_to(ahead, behind) as gateway:
        node, head = await gateway.pinned()
        assert (node.alias, head.number) == ("rpc-1", 11)
        ahead.reply = lambda calls: None
        with pytest.raises(NodeUnavailable):
            await node.balance("0x")  # whoever holds the node begins again
        with pytest.raises(NodeUnavailable):
            await gateway.pinned()  # the other one would take a mined transaction for a lost one
        behind.head = block(11)
        node, head = await gateway.pinned()
        assert (node.alias, head.number) == ("rpc-2", 11)


async def test_a_lower_block_of_another_hash_is_a_reorg_and_believed():
    first, second = Node(head=11), Node(head=10)
    async with gateway_to(first, second) as gateway:
        await gateway.pinned()
        first.head = block(12)
        await gateway.pinned()
        first.head = second.head = block(11, "0x" + "cc" * 32)
        assert (await gateway.pinned())[1].number == 11
        first.head = second.head = block(12, "0x" + "dd" * 32)
        assert (await gateway.pinned())[1].hash == "0x" + "dd" * 32


async def test_a_survey_names_a_node_that_lags_and_reads_leave_it():
    slow, fresh = Node(head=10), Node(head=14)
    fresh.balance = 2
    async with gateway_to(slow, fresh) as gateway:
        assert await gateway.balance("0x") == 1
        first, second = await gateway.survey()
        assert (first.head, first.lag, first.healthy) == (10, 4, False)
        assert (second.head, second.lag, second.healthy) == (14, 0, True)
        assert await gateway.balance("0x") == 2
        slow.head = block(14)
        assert [one.healthy for one in await gateway.survey()] == [True, True]


async def test_a_survey_of_silent_nodes_ends(monkeypatch):
    node = Node()
    node.reply = lambda calls: SILENCE
    async with gateway_to(node, Node(), timeout_seconds=0.2) as gateway, asyncio.timeout(5):
        assert [one.healthy for one in await gateway.survey()] == [False, True]
        assert gateway.endpoints()[1].latency_ms is not None


# -- sending


def refusing(message):
    return lambda raw: {"error": {"code": -32000, "message": message}}


async def test_signed_bytes_go_to_every_node():
    nodes = [Node(), Node(), Node()]
    async with gateway_to(*nodes) as gateway:
        assert (await gateway.send([RAW]))[0].result == SendResult.ACCEPTED
        async with asyncio.timeout(5):
            while not all(node.taken == [RAW] for node in nodes):  # noqa: ASYNC110 - the nodes are told in the background
                await asyncio.sleep(0.005)


async def test_the_first_that_takes_them_is_enough():
    silent = Node()
    async with gateway_to(silent, Node(), timeout_seconds=60) as gateway:
        await gateway.survey()
        silent.reply = lambda calls: SILENCE
        async with asyncio.timeout(5):
            assert (await gateway.send([RAW]))[0].result == SendResult.ACCEPTED


@pytest.mark.parametrize(
    ("messages", "result"),
    [
        (["already known", "nonce too low"], SendResult.KNOWN),
        (["nonce too low", "nonce too low"], SendResult.NONCE_LOW),
        (["nonce too low", "a phrase of its own"], SendResult.UNKNOWN),
        (["insufficient funds", None], SendResult.UNKNOWN),
        (["insufficient funds", "transaction underpriced"], SendResult.UNDERPRICED),
        (["insufficient funds", "insufficient funds"], SendResult.FUNDS),
    ],
)
async def test_a_refusal_is_sure_only_when_every_node_is(messages, result):
    nodes = [Node(), Node()]
    async with gateway_to(*nodes) as gateway:
        await gateway.survey()
        for node, message in zip(nodes, messages, strict=True):
            node.send = refusing(message)
            if message is None:
                node.reply = lambda calls: None
        assert [outcome.result for outcome in await gateway.send([RAW])] == [result]


async def test_each_item_has_the_best_of_its_outcomes():
    first, second = Node(), Node()
    one, other = b"\x02one", b"\x02other"
    first.send = lambda raw: {"result": transaction_hash(raw)} if raw == one else {"error": {"code": 1, "message": "?"}}
    second.send = lambda raw: (
        {"result": transaction_hash(raw)} if raw == other else {"error": {"code": 1, "message": "?"}}
    )
    async with gateway_to(first, second) as gateway:
        results = [outcome.result for outcome in await gateway.send([one, other])]
    assert results == [SendResult.ACCEPTED, SendResult.ACCEPTED]


async def test_a_node_that_failed_a_moment_ago_is_not_told_while_others_are_well():
    first, second = Node(), Node()
    async with gateway_to(first, second) as gateway:
        await gateway.survey()
        first.reply = lambda calls: None
        await gateway.balance("0x")
        first.reply = None
        assert (await gateway.send([RAW]))[0].result == SendResult.ACCEPTED
    assert (first.taken, second.taken) == ([], [RAW])


@pytest.mark.parametrize("urls", [[""], ["http://127.0.0.1:1", "very-secret-key"]])
def test_a_list_with_anything_but_urls_is_refused_unquoted(urls):
    with pytest.raises(SettingsError) as caught:
        Gateway([Secret(url) for url in urls])
    assert str(caught.value) == "CLAIMWRIGHT_RPC_URL: is not an http or https URL"


# -- what is remembered


def test_a_node_rests_longer_each_time_and_is_well_at_once_when_it_answers():
    health = Health()
    for expected in (*PAUSES, PAUSES[-1]):
        health.failed(100.0, "node-unavailable")
        assert health.rests(100.0 + expected - 0.01)
        assert not health.rests(100.0 + expected)
    health.answered(0.25)
    assert (health.rests(100.0), health.failures, health.error, health.latency) == (False, 0, None, 0.25)


def test_heads_are_forgotten_in_order_and_a_reorg_forgets_what_it_replaced():
    heads = Heads()
    for number in range(1000):
        heads.note(Head(number, f"0x{number}", 0, 0))
    assert heads.is_behind(Head(998, "0x998", 0, 0))
    assert heads.is_behind(Head(1, "0xunknown", 0, 0))  # older than what is remembered: nothing speaks for a reorg
    assert not heads.is_behind(Head(998, "0xother", 0, 0))
    heads.note(Head(998, "0xother", 0, 0))
    assert (heads.newest, heads.is_behind(Head(997, "0x997", 0, 0))) == (998, True)
    assert not heads.is_behind(Head(999, "0x999", 0, 0))
