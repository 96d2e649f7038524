"""Which metrics, labels and label values a PromQL expression names. Parsed by the grammar, not by patterns."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import promql_parser


class Named(NamedTuple):
    """One selector. `equal` are the values that a label must have for it to find anything; `by` of the aggregations."""

    metric: str
    labels: frozenset[str]
    equal: frozenset[tuple[str, str]]
    by: frozenset[str]


def names(expression: str) -> list[Named]:
    """Raises `ValueError` for what is no PromQL."""
    # Grafana's own variables stand where a duration or a pattern will.
    return list(_walk(promql_parser.parse(expression.replace("$__rate_interval", "5m")), frozenset()))


def _walk(node: Any, by: frozenset[str]) -> Iterator[Named]:
    kind = type(node).__name__
    if kind == "VectorSelector":
        matchers = node.matchers.matchers
        yield Named(
            node.name,
            frozenset(matcher.name for matcher in matchers),
            frozenset((m.name, m.value) for m in matchers if m.op == promql_parser.MatchOp.Equal),
            by,
        )
    elif kind == "AggregateExpr":
        grouped = frozenset(node.modifier.labels) if node.modifier is not None else frozenset()
        yield from _walk(node.expr, by | grouped)
    elif kind == "BinaryExpr":
        yield from _walk(node.lhs, by)
        yield from _walk(node.rhs, by)
    elif kind == "Call":
        for argument in node.args:
            yield from _walk(argument, by)
    elif kind == "MatrixSelector":
        yield from _walk(node.vector_selector, by)
    elif hasattr(node, "expr"):  # parentheses, a sign, a subquery
        yield from _walk(node.expr, by)
