"""The errors of the REST API, in the shape of the endpoint that answers.

    Refusal            an answer that is not a success (status, message, code, param)

The gateway, the files API, each text dialect and the storage host have shapes
of their own; which one is used follows from the path alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import cast
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Json = dict[str, object]

FILES_API = "/api/v1/files/"
DOWNLOADS = ("/results/", "/files/")
MIB = 1024 * 1024

# The type names of the gateway's error page, by HTTP status.
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large_error",
    429: "rate_limit_error",
    500: "internal_server_error",
    502: "upstream_error",
    503: "service_unavailable_error",
}
# Newer answers carry a string code; those not named here keep the older integer.
STRING_CODES = {402: "insufficient_quota", 403: "model_access_denied", 429: "rate_limit_exceeded"}
HINTS = {
    402: "top up the account",
    429: "retry after 30 seconds",
    500: "retry after 60 seconds",
    502: "retry after 60 seconds",
    503: "retry after 60 seconds",
}
MESSAGES = {
    400: "The request is not valid",
    401: "The API key is missing or not valid",
    402: "Insufficient quota",
    403: "This key may not do that",
    404: "Nothing was found here",
    405: "This path does not take that method",
    413: "The request body is too large",
    429: "Too many requests",
    500: "The gateway failed",
    502: "The provider behind the gateway failed",
    503: "The service is unavailable for now",
}
_GEMINI = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


class Refusal(Exception):
    """Raised by a handler to answer with an error.

    ``code`` is what the body carries as its code: a string for the gateway's newer
    answers, an integer for the files API. Without it the gateway's default for
    that status is used.
    """

    def __init__(
        self,
        status: int,
        message: str | None = None,
        *,
        code: str | int | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.message = message or MESSAGES.get(status, "The request failed")
        self.code = code
        self.param = param
        self.headers = dict(headers or {})
        super().__init__(self.message)


def request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", "none"))


def error_response(request: Request, refusal: Refusal) -> Response:
    """``refusal`` as an HTTP answer in the shape that belongs to the request's path."""
    path = request.url.path
    message = f"{refusal.message} (request id: {request_id(request)})"
    if path.startswith(DOWNLOADS):
        return _storage(refusal, message, request_id(request))
    shapes: list[tuple[str, Callable[[Refusal, str], Json]]] = [
        (FILES_API, _envelope),
        ("/v1/messages", _anthropic),
        ("/v1beta/", _gemini),
    ]
    body = next((shape for prefix, shape in shapes if path.startswith(prefix)), _gateway)(refusal, message)
    return JSONResponse(body, status_code=refusal.status, headers=refusal.headers)


def _gateway(refusal: Refusal, message: str) -> Json:
    """Also the OpenAI dialect's: the gateway took its error shape from there."""
    error: Json = {
        "code": refusal.code if refusal.code is not None else STRING_CODES.get(refusal.status, refusal.status),
        "message": message,
        "type": ERROR_TYPES.get(refusal.status, "api_error"),
    }
    if refusal.param is not None:
        error["param"] = refusal.param
    if refusal.status in HINTS:
        error["fallback_suggestion"] = HINTS[refusal.status]
    return {"error": error}


def _envelope(refusal: Refusal, message: str) -> Json:
    code = refusal.code if isinstance(refusal.code, int) else refusal.status
    return {"success": False, "code": code, "msg": message, "data": None}


def _anthropic(refusal: Refusal, message: str) -> Json:
    return {"type": "error", "error": {"type": ERROR_TYPES.get(refusal.status, "api_error"), "message": message}}


def _gemini(refusal: Refusal, message: str) -> Json:
    status = _GEMINI.get(refusal.status, "INTERNAL")
    return {"error": {"code": refusal.status, "message": message, "status": status}}


def _storage(refusal: Refusal, message: str, ident: str) -> Response:
    code = str(refusal.code or {403: "AccessDenied", 404: "NoSuchKey"}.get(refusal.status, "InternalError"))
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message><RequestId>{ident}</RequestId></Error>"
    )
    return Response(xml, status_code=refusal.status, headers=refusal.headers, media_type="application/xml")


async def read_object(request: Request, limit: int, *, too_large: Refusal | None = None) -> Json:
    """The request body as a JSON object.

    Raises:
        Refusal: 400 when it is not one, and ``too_large`` (413 by default) past ``limit`` bytes.
    """
    body = bytearray()
    over = False
    async for chunk in request.stream():
        # What is over the limit is still read, or the client would see a broken pipe instead of the answer.
        over = over or len(body) + len(chunk) > limit
        if not over:
            body += chunk
    if over:
        raise too_large or Refusal(413)
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "The request body is not valid JSON") from None
    if not isinstance(parsed, dict):
        raise Refusal(400, "The request body has to be a JSON object")
    return cast("Json", parsed)


def whole_number(request: Request, name: str, default: int, most: int) -> int:
    """A query parameter as an integer from 1 to ``most``.

    Raises:
        Refusal: 400 otherwise.
    """
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise Refusal(400, f"{name} has to be a whole number from 1 to {most}", param=name)
    return int(text)
