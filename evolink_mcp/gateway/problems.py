"""What the gateway's error codes mean and what to do about them.

The tables merge S1's and S2's: HTTP statuses, codes of failed tasks, codes of
the files API. Resolutions are ours. Whether a failed task may be tried again follows
them, except that an empty account needs a top-up first (S1 calls it retryable).
"""

from __future__ import annotations

from typing import NamedTuple

from evolink_mcp.errors import BILLING_PAGE, KEYS_PAGE


class Advice(NamedTuple):
    """What a code means, and what to do."""

    meaning: str
    resolution: str


class TaskAdvice(NamedTuple):
    """What the code of a failed task means, whether the same call may succeed later, and what to do."""

    meaning: str
    retryable: bool
    resolution: str


ASK_FIRST = "Ask the user before another try: it is charged."
_REWORD = f"{ASK_FIRST} Reword the prompt for it: no explicit violence, nudity or names of real people."
TOP_UP = f"Ask the user to top up at {BILLING_PAGE}."
_LATER = "Wait about a minute, then submit again."

HTTP_ADVICE: dict[int, Advice] = {
    400: Advice("the gateway refused the request", "Correct what the message names, then call again."),
    401: Advice("the API key is missing or not valid", f"Ask the user to check the key at {KEYS_PAGE}."),
    402: Advice("the account has too few credits", TOP_UP),
    403: Advice("the key may not do this", "Ask the user to check the permissions of the account and the key."),
    404: Advice("something the request names does not exist, or has expired", "Check the id."),
    409: Advice(
        "the gateway saw a conflict with an earlier request", "Check whether the task exists before you submit again."
    ),
    413: Advice("the request is too large", "Use smaller inputs, or upload them and pass their links."),
    429: Advice("too many requests", "Wait 60 s, then call again."),
    500: Advice("the gateway failed", "Wait a minute, then call again."),
    502: Advice("the gateway's provider did not answer", "Wait a minute, then call again."),
    503: Advice("the gateway is not available now", "Wait one or two minutes, then call again."),
}

TASK_ADVICE: dict[str, TaskAdvice] = {
    "content_policy_violation": TaskAdvice("blocked by the safety filter", False, _REWORD),
    "invalid_parameters": TaskAdvice(
        "a parameter was not accepted",
        False,
        "Look the model up with list_models(model=…), correct the call and submit again.",
    ),
    "image_dimension_mismatch": TaskAdvice(
        "the input image does not fit the requested size",
        False,
        "Resize the image to the requested aspect ratio, or request the image's own aspect ratio.",
    ),
    "image_processing_error": TaskAdvice(
        "the input image could not be used",
        False,
        "Check that the link opens without a login and is a JPEG, PNG or WebP below 10 MB.",
    ),
    "model_unavailable": TaskAdvice(
        "the model is offline for now", False, "Choose another model with list_models, then submit again."
    ),
    "generation_timeout": TaskAdvice(
        "the generation took too long", True, "Submit again; if it repeats, simplify the prompt or ask for less."
    ),
    "quota_exceeded": TaskAdvice("the credits are used up", False, TOP_UP),
    "resource_exhausted": TaskAdvice("the provider is at its limit", True, "Wait 30 to 60 seconds, then submit again."),
    "service_error": TaskAdvice("the service failed", True, _LATER),
    "service_unavailable": TaskAdvice("the service is not available now", True, _LATER),
    "generation_failed_no_content": TaskAdvice("nothing was produced", True, "Change the prompt, then submit again."),
    "upstream_error": TaskAdvice("the provider failed", True, _LATER),
    "rate_limited": TaskAdvice("too many requests for this task", True, "Wait 30 seconds, then submit again."),
    "request_cancelled": TaskAdvice("the task was cancelled", False, ASK_FIRST),
    "resource_not_found": TaskAdvice(
        "an input of the task was not found", False, "Check the links, then submit again."
    ),
    "unknown_error": TaskAdvice(
        "no cause was given", True, "Submit again; if it repeats, ask the user to contact EvoLink's support."
    ),
}

FILE_ADVICE: dict[int, Advice] = {
    40001: Advice("the file is too large", "Use a file of at most 100 MB."),
    40002: Advice("this type of file is not accepted", "Use a JPEG, PNG, GIF or WebP."),
    40003: Advice(
        "no more files can be stored", "Delete files that are no longer needed: list_files, then delete_file."
    ),
    40004: Advice("the link could not be fetched", "Check that the link opens without a login."),
    50001: Advice("the file storage failed", "Wait a minute, then call again."),
}

# Answers by which the gateway certainly did not create a task. A 5xx, a 408 or a
# 409 (an earlier request may have been paid) are not among them.
NOT_CREATED = frozenset({400, 401, 402, 403, 404, 405, 413, 415, 422, 429})
# Codes that take such an answer's certainty away again (newer gateways).
DOUBTFUL_CODES = frozenset({"paid_outcome_unknown", "idempotency_conflict"})

# Of answers that are not JSON: what they are, and those that tell of a wrong address.
NOT_THE_GATEWAY = (
    "its answer is not JSON (a proxy's page, perhaps)",
    "it points to another address (the login page of a network, perhaps), and is not JSON",
)
WRONG_ADDRESS = frozenset({404, 405})
CHECK_ADDRESS = "Tell the user: whoever runs this server can check EVOLINK_BASE_URL, and the network for a proxy."


# Codes of an empty account or key: another try cannot help, whatever status they come with (S1; newer answers).
NEVER_RETRIED = frozenset(
    {
        "402",
        "insufficient_quota",
        "insufficient_quota_error",
        "insufficient_user_quota",
        "quota_not_enough",
        "quota_exceeded",
        "account_balance_insufficient",
        "insufficient_token_quota",
        "key_quota_exhausted",
        "token_daily_quota_exceeded",
    }
)


# Those of them that are about the key alone, whatever the account holds.
KEY_LIMITS = frozenset({"insufficient_token_quota", "key_quota_exhausted", "token_daily_quota_exceeded"})


POLICY = "content_policy_violation"
_POLICY_WORDS = ("policy", "moderation", "moderated", "safety", "sensitive", "nsfw", "blocked", "flagged")


def is_policy(word: str) -> bool:
    """Whether a code or a status, which every provider words otherwise, says that the content is not allowed."""
    return any(each in word.lower() for each in _POLICY_WORDS)


def task_advice(code: str) -> TaskAdvice:
    """Advice for a failed task's code; an unknown code is treated as ``unknown_error``."""
    return TASK_ADVICE.get(code) or TASK_ADVICE[POLICY if is_policy(code) else "unknown_error"]


def http_advice(status: int) -> Advice:
    """Advice for an HTTP status; one that is not listed goes by its class."""
    if status in HTTP_ADVICE:
        return HTTP_ADVICE[status]
    if status >= 500:
        return HTTP_ADVICE[500]
    return Advice("the gateway gave an answer that is not understood", "Check the arguments, then call again.")
