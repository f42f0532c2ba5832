"""What work costs here: invented figures in the gateway's shapes, by which credits are held, estimated and listed."""

from __future__ import annotations

import json
import secrets
from typing import cast

from evolink_mcp.sandbox.catalog import Model
from evolink_mcp.sandbox.plans import film_seconds, whole_request
from evolink_mcp.sandbox.sizes import EDGE_NAMES, short_edge
from evolink_mcp.sandbox.wire import Json

CREDITS_PER_USD, CREDITS_PER_CNY, UC_PER_CREDIT = 68, 10, 10_000
PICTURE_CREDITS = 2.5
SECOND_CREDITS = 1.2
CALL_CREDITS = {"file": 3.0, "songs": 6.0, "character": 0.1, "element": 1.0, "persona": 1.0, "voice": 1.0}
PLAIN_EDGE = 720  # the short edge up to which a second costs the plain rate
NOTE = "Invented prices of the sandbox"


def reserve(model: Model, body: Json) -> tuple[str, float]:
    """(billing rule, credits held) of a request."""
    body = whole_request(model, body)
    if _by_pictures(model):
        # S3's model is billed by its tokens, all others by the call.
        rule = "per_token" if model.page == "S3" else "per_call"
        return rule, PICTURE_CREDITS * cast("int", body.get("n") or 1)
    if _by_seconds(model):
        quality = body.get("quality")
        factor = _factor(quality if isinstance(quality, str) else None)
        return "per_second", round(SECOND_CREDITS * film_seconds(body) * factor, 4)
    return "per_call", CALL_CREDITS[model.makes]


def settle(rule: str, reserved: float) -> float:
    """What a finished task really costs: tokens come out cheaper than held, everything else as held."""
    return round(reserved * 0.84, 2) if rule == "per_token" else reserved


def rules(model: Model, now: str) -> Json:
    """The pricing rules of one model."""
    meta = {"schema_version": "2", "price_scope": "public_default", "currency": "USD", "updated_at": now}
    return {"meta": meta, "model": _rules(model)}


def price_list(models: list[Model]) -> Json:
    """The public price list."""
    return {"success": True, "data": [_row(number, model) for number, model in enumerate(models, 9001)]}


def estimate(model: Model, request: Json, expires_at: str) -> Json:
    """An estimate of one request, by the parameters that its rules name."""
    parameters = cast("Json", request.get("parameters") or {})
    names = {"n": ("image_count", "n"), "duration": ("duration_seconds", "duration"), "quality": ("quality",)}
    body: Json = {}
    for name, spellings in names.items():
        value = next((parameters[each] for each in spellings if each in parameters), None)
        body[name] = int(value) if isinstance(value, float) and value.is_integer() else value
    amounts = _amounts(reserve(model, body)[1])
    return {
        "estimate_id": f"est_{secrets.token_hex(8)}",
        "price_scope": "account",
        "model_id": model.name,
        "operation": _operation(model),
        "settlement_basis": "request_then_actual",
        "currency": "USD",
        "amount": amounts["usd"],
        "amounts": amounts,
        "assumptions": [NOTE],
        "expires_at": expires_at,
    }


def _by_pictures(model: Model) -> bool:
    return model.kind == "image"


def _by_seconds(model: Model) -> bool:
    return model.kind == "video" and model.makes_files


def _factor(quality: str | None) -> float:
    return max(1.0, round(short_edge(quality) / PLAIN_EDGE, 2))


def _operation(model: Model) -> str:
    return f"{model.kind}_generation"


def _rules(model: Model) -> Json:
    parameters: list[Json] = []
    quantity: Json = {"op": "constant", "value": "1"}
    unit, rate, rule = "request", CALL_CREDITS[model.makes], "per_call"
    if _by_pictures(model):
        parameters.append({"name": "image_count", "type": "integer", "minimum": "1", "default": "1"})
        unit, rate = "image", PICTURE_CREDITS
        quantity = {"op": "variable", "name": "image_count"}
    elif _by_seconds(model):
        whole = whole_request(model, {})
        usual = str(film_seconds(whole))
        seconds: Json = {"name": "duration_seconds", "type": "decimal", "minimum": "0", "default": usual}
        tiers = {name: f"{_factor(name):g}" for name in EDGE_NAMES}
        tier = whole["quality"] if whole.get("quality") in tiers else "720p"
        quality: Json = {"name": "quality", "type": "enum", "values": list(tiers), "default": tier}
        parameters += [seconds, quality]
        lookup: Json = {"op": "lookup", "key": {"op": "variable", "name": "quality"}, "values": tiers}
        quantity = {"op": "multiply", "args": [{"op": "variable", "name": "duration_seconds"}, lookup]}
        unit, rate, rule = "output_second", SECOND_CREDITS, "per_second"
    component: Json = {
        "id": "output",
        "role": "output",
        "unit": unit,
        "rate": _amounts(rate),
        "minimum_charge": _amounts(0.0),
        "billing_rule": rule,
        "pricing_status": "available",
        "quantity_rule": quantity,
        "rounding": {"point": "per_component_subtotal", "mode": "half_up"},
        "tiers": [],
    }
    return {
        "model_id": model.name.lower(),
        "operation": _operation(model),
        "modality": model.kind,
        "lifecycle": "active",
        "pricing_status": "available",
        "settlement_basis": "request_then_actual",
        "policy_version": 1,
        "policy_source": "published",
        "parameters": parameters,
        "components": [component],
    }


def _row(number: int, model: Model) -> Json:
    rule, rate = "per_call", CALL_CREDITS[model.makes]
    multipliers: Json = {}
    if _by_pictures(model):
        rule, rate = "per_image", PICTURE_CREDITS
    elif _by_seconds(model):
        rule, rate = "per_second", SECOND_CREDITS
        multipliers = {name: _factor(name) for name in EDGE_NAMES}
    usd = round(rate / CREDITS_PER_USD, 4)
    return {
        "sku_id": str(number),
        "sku_name": f"{model.name} - output",
        "model_name": model.name,
        "model_type": model.kind,
        "vendor_slug": "sandbox",
        "description": NOTE,
        "billing_rule": rule,
        "cny_price": rate / CREDITS_PER_CNY,
        "min_charge_uc": 0,
        "metadata": json.dumps({"role": "output"}),
        "resolution_multipliers": multipliers,
        "price_range": {"min_usd": usd, "max_usd": usd},
        "routing_note": f"{NOTE}: {rate:g} credits {rule.replace('_', ' ')}.",
    }


def _amounts(credits: float) -> Json:
    return {
        "uc": str(round(credits * UC_PER_CREDIT)),
        "credits": f"{credits:g}",
        "cny": f"{credits / CREDITS_PER_CNY:g}",
        "usd": f"{credits / CREDITS_PER_USD:.8f}",
    }
