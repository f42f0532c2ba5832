"""Credits over HTTP: limits by options or environment, and counts by caller."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evolink_mcp.arguments import parser
from evolink_mcp.jobs.limits import CreditLimits
from evolink_mcp.settings import Settings
from evolink_mcp.transports.http.application import HttpApplication
from evolink_mcp.transports.http.metrics import MAX_NAMES
from evolink_mcp.transports.http.options import HttpOptions

SETTINGS = Settings(max_credits_per_call=5.0, max_credits_per_day=20.0)


def test_options_limit_credits_and_the_environment_where_they_do_not() -> None:
    assert HttpOptions().credit_limits(SETTINGS) == CreditLimits(5.0, 20.0)
    options = HttpOptions(max_credits_per_call=1.0, max_credits_per_day=2.0, max_credits_per_day_in_all=3.0)
    assert options.credit_limits(SETTINGS) == CreditLimits(1.0, 2.0, 3.0)
    assert HttpApplication(SETTINGS, options).app.limits_of_credits == CreditLimits(1.0, 2.0, 3.0)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e12", "many", "1_0"])
def test_a_limit_that_is_none_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["http", "--max-credits-per-day-in-all", value]
    with pytest.raises(SystemExit):
        parser(argv).parse_args(argv)
    assert "must be a number of credits above 0" in capsys.readouterr().err


async def test_credits_are_counted_by_a_bounded_number_of_names() -> None:
    metrics = HttpApplication(replace(SETTINGS, api_key=None), HttpOptions()).metrics
    metrics.record_credits("alice", 6.0, 0.0)
    metrics.record_credits("alice", 0.0, 2.5)
    for number in range(MAX_NAMES + 50):
        metrics.record_credits(f"user-{number}", 1.0, 0.0)
    page = bytes((await metrics.answer()).body).decode()
    assert 'evolink_mcp_credits_held_total{caller="alice"} 6.0' in page
    assert 'evolink_mcp_credits_charged_total{caller="alice"} 2.5' in page
    assert page.count("evolink_mcp_credits_held_total{") <= MAX_NAMES + 1
    assert 'evolink_mcp_credits_held_total{caller="other"}' in page
