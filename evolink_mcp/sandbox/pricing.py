"""The endpoints of prices: two that anybody may read, and the estimate for a key; 404 where there are none."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from evolink_mcp.sandbox import prices
from evolink_mcp.sandbox.catalog import Model
from evolink_mcp.sandbox.state import Sandbox, account, sandbox_of
from evolink_mcp.sandbox.wire import MIB, Refusal, read_object

ESTIMATE_SECONDS = 300.0  # for which an estimate is good


async def read_rules(request: Request) -> Response:
    sandbox = _with_prices(request)
    return JSONResponse(prices.rules(_model(sandbox, str(request.path_params["model"])), _iso(sandbox.clock.now())))


async def read_list(request: Request) -> Response:
    models = _with_prices(request).models.values()
    return JSONResponse(prices.price_list([model for model in models if not model.placeholder]))


async def estimate(request: Request) -> Response:
    sandbox = _with_prices(request)
    account(request)
    body = await read_object(request, MIB)
    if not isinstance(body.get("parameters", {}), dict):
        raise Refusal(400, "parameters has to be an object", param="parameters")
    model = _model(sandbox, str(body.get("model_id")))
    return JSONResponse(prices.estimate(model, body, _iso(sandbox.clock.now() + ESTIMATE_SECONDS)))


def _with_prices(request: Request) -> Sandbox:
    sandbox = sandbox_of(request)
    if not sandbox.config.prices:
        raise Refusal(404)
    return sandbox


def _model(sandbox: Sandbox, name: str) -> Model:
    """A model by its name in any case: public prices go by lower case."""
    found = next((model for model in sandbox.models.values() if model.name.lower() == name.lower()), None)
    if found is None or found.placeholder:
        raise Refusal(404, "there are no prices for this model", param="model_id")
    return found


def _iso(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
