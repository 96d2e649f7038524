"""Webhooks doubled, forged and in any order, from 50 callers: every state is right in the end and nothing is lost."""

from pathlib import Path

from benchmarks import decisions


async def test_every_state_is_right_whatever_order_the_webhooks_come_in(store_url: str, tmp_path: Path) -> None:
    result = await decisions.measure(store_url, tmp_path, webhooks=400)
    assert result["wrong"] == []
    assert (result["webhooks"], result["duplicates"], result["forged"]) == (460, 40, 20)
    assert 0 < result["reads_per_event"] <= 1
