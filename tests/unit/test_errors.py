"""Errors are values that say what happened, what it cost and what to do."""

from __future__ import annotations

import pytest

from evolink_mcp.errors import GatewayRefused, MissingKey, OutcomeUnknown, SettingsError


def test_an_error_cannot_be_written_to() -> None:
    error = GatewayRefused("no", code="402")
    for name in ("what", "next_step", "charged", "anything"):
        with pytest.raises(AttributeError, match=rf"replace\({name}=…\)"):
            setattr(error, name, "other")


def test_an_error_with_other_facts_is_another_one_of_its_class() -> None:
    error = OutcomeUnknown("broke", code="timeout", status=502, request_id="r-1")
    other = error.replace(what="broke early", charged="no")
    assert isinstance(other, OutcomeUnknown)
    assert (str(other), other.charged, other.code, other.status, other.request_id) == (
        "broke early",
        "no",
        "timeout",
        502,
        "r-1",
    )
    assert (str(error), error.charged) == ("broke", "unknown")


def test_an_error_with_more_to_say_keeps_its_cause() -> None:
    def fail() -> None:
        raise OutcomeUnknown("broke") from OSError("cable")

    with pytest.raises(OutcomeUnknown) as raised:
        fail()
    other = raised.value.with_next("Look first.").with_next("Then ask.")
    assert other.next_step == "Look first. Then ask."
    assert isinstance(other.__cause__, OSError)
    assert other.__traceback__ is not None


def test_errors_with_words_of_their_own_can_say_more() -> None:
    assert MissingKey().with_next("Really.").next_step.endswith("works without a key. Really.")
    assert SettingsError(["a", "b"]).with_next("Now.").problems == ("a", "b")
