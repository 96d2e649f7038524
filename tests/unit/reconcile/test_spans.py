"""How many blocks are asked about at a time: few of a busy chain, many of a quiet one, each once and in order."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.chain.wire import Event, Head, Log
from issuer.errors import NodeRefused, NodeUnavailable
from issuer.reconcile.chain import MANY_EVENTS, SPAN, ChainReader, next_span

ISSUER = "0x5FbDB2315678afecb367f032d93F642f64180aa3"


class Node:
    """Tells `events` of each block to whoever asks about `most` blocks at most."""

    def __init__(self, most, events=0):
        self.most, self.events = most, events
        self.told, self.away = [], False

    async def head(self):
        if self.away:
            raise NodeUnavailable("away")
        return Head(number=9, hash="0x", timestamp=0, base_fee=0)

    async def logs(self, first, last, topics, *, address=None):
        if self.away or last - first + 1 > self.most:
            raise NodeRefused("too many blocks", -32005)
        if address is not None:
            return []
        self.told.append(range(first, last + 1))
        log = Log(address=ISSUER, topics=(b"",), data=b"")
        return [Event(log=log, block_number=first, tx_hash="0x", index=n) for n in range(self.events)]


def blocks_told(node, first, last):
    asyncio.run(ChainReader(node, ISSUER).touched(first, last))
    return [block for told in node.told for block in told]


@given(st.integers(0, 50), st.integers(0, 5000), st.integers(1, 3000))
def test_each_block_is_told_of_once_and_in_order_whatever_a_node_allows(first, more, most):
    node = Node(most)
    assert blocks_told(node, first, first + more) == list(range(first, first + more + 1))
    assert max(map(len, node.told)) <= min(most, SPAN)


def test_a_node_that_refuses_one_block_is_an_error():
    with pytest.raises(NodeRefused):
        blocks_told(Node(0), 1, 5)


def test_a_node_that_is_away_is_asked_no_smaller_question():
    node = Node(10)
    node.away = True
    with pytest.raises(NodeUnavailable):
        blocks_told(node, 1, 5)


def test_of_a_busy_chain_few_blocks_are_asked_about():
    node = Node(5000, events=MANY_EVENTS + 1)
    blocks_told(node, 1, 12)
    assert len(node.told[-1]) < len(node.told[0])
    assert next_span(8, 8, 4 * MANY_EVENTS) == 2
    assert next_span(8, 8, 400 * MANY_EVENTS) == 1


def test_a_short_question_says_nothing_of_long_ones():
    assert next_span(8, 1, 0) == 8
    assert next_span(8, 8, 0) == 16
    assert next_span(SPAN, SPAN, 0) == SPAN
