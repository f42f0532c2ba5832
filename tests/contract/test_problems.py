"""What each code of the gateway means, as the references have it (S1, S2)."""

from __future__ import annotations

import httpx2
import pytest

from evolink_mcp.errors import GatewayError, OutcomeUnknown
from evolink_mcp.gateway import (
    Caller,
    Transport,
    account,
    bodies,
    files,
    media,
    pools,
    problems,
    replies,
    transport,
    values,
)
from tests.support import KEY, Sandbox

BODY = {"model": "gpt-image-2", "prompt": "x"}
TOP_UP = "top up"
EMPTY = """402 insufficient_quota insufficient_quota_error insufficient_user_quota quota_not_enough quota_exceeded
account_balance_insufficient insufficient_token_quota key_quota_exhausted token_daily_quota_exceeded""".split()


def over(status: int, body: object, **headers: str) -> Caller:
    mock = httpx2.MockTransport(lambda _: httpx2.Response(status, json=body, headers=headers))
    return Caller(Transport("https://api.test", "https://files.test", over=mock), KEY)


async def failure(status: int, body: object = None, **headers: str) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        await media.create(over(status, body or {"error": {"message": ""}}, **headers), "image", BODY, seconds=5)
    return raised.value


@pytest.mark.parametrize(
    ("status", "meaning", "charged"),
    [
        (400, "refused the request", "no"),
        (401, "key is missing or not valid", "no"),
        (402, "too few credits", "no"),
        (403, "may not do this", "no"),
        (404, "does not exist", "no"),
        (405, "not understood", "no"),
        (408, "not understood", "unknown"),
        (409, "conflict", "unknown"),
        (413, "too large", "no"),
        (415, "not understood", "no"),
        (422, "not understood", "no"),
        (429, "too many requests", "no"),
        (499, "not understood", "unknown"),
        (500, "the gateway failed", "unknown"),
        (502, "provider did not answer", "unknown"),
        (503, "not available now", "unknown"),
        (504, "the gateway failed", "unknown"),
        (300, "not understood", "unknown"),
    ],
)
async def test_a_status_says_what_it_means_and_whether_a_task_may_exist(
    status: int, meaning: str, charged: str
) -> None:
    error = await failure(status)
    assert meaning in error.what
    assert (error.status, error.charged, error.code) == (status, charged, str(status))


@pytest.mark.parametrize("status", [200, 201, 299])
async def test_an_answer_of_success_without_a_task_may_have_made_one(status: int) -> None:
    assert isinstance(await failure(status, {"ok": True}), OutcomeUnknown)


@pytest.mark.parametrize("code", EMPTY)
async def test_an_empty_account_is_told_to_top_up_whatever_the_status_says(code: str) -> None:
    error = await failure(429, {"error": {"message": "no", "code": code}}, **{"retry-after": "7"})
    assert code in problems.NEVER_RETRIED
    assert TOP_UP in error.next_step
    assert len(problems.NEVER_RETRIED) == len(EMPTY)


@pytest.mark.parametrize(("status", "waits"), [(429, True), (503, True), (500, False)])
async def test_a_wait_that_the_gateway_asks_for_is_passed_on_where_it_makes_sense(status: int, waits: bool) -> None:
    error = await failure(status, **{"retry-after": "7"})
    assert error.next_step.startswith("Wait 7 s, as the gateway asks") is waits
    assert (await failure(429, **{"retry-after": "0"})).retry_after == 0


# The codes of failed tasks: may the same call succeed later (S1, S2)? An empty account needs more than time.
RETRYABLE = """generation_timeout resource_exhausted service_error service_unavailable generation_failed_no_content
upstream_error rate_limited unknown_error""".split()
FINAL = """content_policy_violation invalid_parameters image_dimension_mismatch image_processing_error
model_unavailable quota_exceeded request_cancelled resource_not_found""".split()


@pytest.mark.parametrize("code", [*RETRYABLE, *FINAL])
def test_a_failed_tasks_code_says_whether_trying_again_makes_sense(code: str) -> None:
    assert problems.TASK_ADVICE[code].retryable is (code in RETRYABLE)
    assert problems.task_advice(code) is problems.TASK_ADVICE[code]


def test_every_code_of_a_failed_task_is_known_and_any_other_is_an_unknown_error() -> None:
    assert set(problems.TASK_ADVICE) == {*RETRYABLE, *FINAL}
    assert problems.task_advice("new_code") is problems.TASK_ADVICE["unknown_error"]


@pytest.mark.parametrize(
    ("code", "step"),
    [(40001, "100 MB"), (40002, "JPEG"), (40003, "delete_file"), (40004, "without a login"), (50001, "Wait a minute")],
)
async def test_the_codes_of_the_files_api_say_what_to_do(code: int, step: str) -> None:
    caller = over(200, {"success": False, "code": code, "msg": "no"})
    with pytest.raises(GatewayError) as raised:
        await files.list_files(caller, page=1, page_size=5, seconds=5)
    assert step in raised.value.next_step
    assert raised.value.code == str(code)


@pytest.mark.parametrize("status", sorted(account.NOT_OFFERED))
async def test_what_a_gateway_does_not_offer_is_no_error(status: int) -> None:
    assert await account.credits(over(status, {}), seconds=5) is None
    assert account.NOT_OFFERED == {404, 405, 501}


async def test_whoever_watches_a_caller_hears_of_every_request(caller: Caller, sandbox: Sandbox) -> None:
    exchanges: list[transport.Exchange] = []
    watched = Caller(caller.transport, caller.key, "me", exchanges.append)
    task = await media.create(watched, "image", BODY, seconds=5)
    sandbox.fault("task", "drop_before")
    with pytest.raises(GatewayError):
        await media.read(watched, task.id)
    told = [(each.method, each.path, each.status, bool(each.request_id)) for each in exchanges]
    assert told == [("POST", "/v1/images/generations", 200, True), ("GET", f"/v1/tasks/{task.id}", 0, False)]
    assert all(0 < each.seconds < 5 for each in exchanges)
    assert (watched.owner, watched.account, caller.owner) == ("me", caller.account, caller.account)


def test_ids_may_have_as_many_characters_as_are_sent() -> None:
    assert media.check_task_id("x" * values.MAX_TASK_ID)
    assert values.MAX_TASK_ID == 128
    for wrong in ("", ".", "a..b", "x" * 129, *(f"a{mark}b" for mark in "/\\ ?#%\n\x7fé")):
        assert not values.is_task_id(wrong)
    for fine in (".a", "a.b", "task-unified-1767225600-abc_DEF", "a:b@c[d]{e}|~!$&'()*+,;=\"<>^`"):
        assert values.is_task_id(fine)


@pytest.mark.parametrize(
    ("value", "moment"),
    [(1757156493, 1757156493), (1757156493000, 1757156493), (0, None), (-3, None), (1e300, None), ("soon", None)],
)
def test_a_time_is_in_seconds_or_milliseconds_of_our_age(value: object, moment: float | None) -> None:
    assert values.as_moment(value) == moment


def test_bounds_are_what_they_are_for_a_reason() -> None:
    assert transport.CONNECT_SECONDS == 10
    assert values.MAX_ANSWER == 8 * 1024**2
    assert bodies.MAX_STREAM == 64 * 1024**2
    assert (pools.LIMITS.max_connections, pools.LIMITS.max_keepalive_connections, pools.POOLS) == (5, 5, 20)
    assert replies.MAX_RETRY_SECONDS == 3600


@pytest.mark.parametrize(("size", "is_read"), [(values.MAX_ANSWER, True), (values.MAX_ANSWER + 1, False)])
async def test_an_answer_is_read_up_to_its_bound(size: int, is_read: bool) -> None:
    body = b'{"id": "task-1", "pad": "'
    raw = body + b"x" * (size - len(body) - 2) + b'"}'
    mock = httpx2.MockTransport(lambda _: httpx2.Response(200, content=raw))
    caller = Caller(Transport("https://api.test", "https://files.test", over=mock), KEY)
    if is_read:
        assert (await media.create(caller, "image", BODY, seconds=5)).id == "task-1"
    else:
        with pytest.raises(OutcomeUnknown):
            await media.create(caller, "image", BODY, seconds=5)
