"""The tables of docs/scale.md are what the script computes from measured gas; the sums around them are right."""

import pytest

from scripts import scale

PAGE = (scale.CONTRACTS.parent / "scale.md").read_text(encoding="utf-8")


def test_the_page_has_the_tables_that_the_script_prints(capsys) -> None:
    scale.main([])
    assert capsys.readouterr().out.strip() in PAGE


def test_cost_and_share_by_hand() -> None:
    ethereum = scale.Chain(id=1, name="x", gas_price=2.0, token=3000.0, block_gas=60_000_000, block_seconds=12.0)
    assert scale.dollars(200_000, ethereum) == pytest.approx(1.2)
    assert scale.share(216_000, ethereum, 1_000_000) == pytest.approx(0.5)


def test_prices_of_today_replace_what_is_assumed(capsys) -> None:
    scale.main(["--gas-price", "1=20", "--token", "1=1000"])
    assert "20 gwei, 1000 $" in capsys.readouterr().out


@pytest.mark.parametrize(("seconds", "lane", "lanes"), [(12, 40, 3), (2, 240, 1), (1, 480, 1)])
def test_the_table_of_lanes(seconds, lane, lanes) -> None:
    assert 16 * 30 // seconds == lane
    assert -(-116 * seconds // (16 * 30)) == lanes
    assert f"| {seconds} s | {lane} | {lanes} |" in PAGE
