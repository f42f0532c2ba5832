"""Links: results for a day, uploads for three. No key is asked for, and an old link is refused.

A key that is sent all the same is refused too, as signed links of object stores
do: whoever follows a link has no business showing it a credential.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from evolink_mcp.sandbox.state import sandbox_of
from evolink_mcp.sandbox.wire import Refusal


async def result(request: Request) -> Response:
    """The bytes behind a result link.

    Raises:
        Refusal: 404 for a link never given out, 403 for one that has expired, 400 where a key is shown to it.
    """
    _no_credentials(request)
    sandbox = sandbox_of(request)
    found = sandbox.tasks.at(f"/results/{request.path_params['link']}")
    now = sandbox.clock.now()
    if found is None or not found[1].path.exists() or found[0].status(now) != "completed":
        raise Refusal(404, "The specified key does not exist")
    task, output = found
    if now >= (task.links_expire() or 0):
        raise _expired()
    return FileResponse(output.path, media_type=output.work.mime)


async def file(request: Request) -> Response:
    """The same for uploads; ``?download=1`` asks the browser to save it."""
    _no_credentials(request)
    sandbox = sandbox_of(request)
    stored = sandbox.files.at(f"/files/{request.path_params['link']}")
    if stored is None:
        raise Refusal(404, "The specified key does not exist")
    if sandbox.clock.now() >= stored.expires:
        raise _expired()
    save_as = stored.name if "download" in request.query_params else None
    return FileResponse(stored.path, media_type=stored.mime, filename=save_as)


def _no_credentials(request: Request) -> None:
    """Keeps keys away from links.

    Raises:
        Refusal: 400 for a request that carries a key, by any header or in the query.
    """
    named = {"authorization", "proxy-authorization"} | {name for name in request.headers if name.endswith("-key")}
    values = [*request.headers.values(), *request.query_params.values()]
    if named & set(request.headers) or any("sk-" in value or "bearer " in value.lower() for value in values):
        raise Refusal(400, "A link is followed without credentials, and this request carries some")


def _expired() -> Refusal:
    return Refusal(403, "Request has expired")
