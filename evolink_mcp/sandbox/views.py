"""Tasks as the REST API shows them."""

from __future__ import annotations

import math
import uuid
from typing import cast

from evolink_mcp.sandbox.plans import film_seconds, whole_request
from evolink_mcp.sandbox.prices import CREDITS_PER_CNY, CREDITS_PER_USD
from evolink_mcp.sandbox.tasks import Task
from evolink_mcp.sandbox.wire import Json
from evolink_mcp.sandbox.work import Tone

_ELEMENT_FIELDS = ("element_name", "element_description", "reference_type")


def receipt(task: Task) -> Json:
    """What the creation answers with: pending, nothing done, an honest estimate."""
    return _body(task, "pending", 0)


def whole(task: Task, now: float, base_url: str) -> Json:
    """What reading one task answers with."""
    status = task.status(now)
    body = _body(task, status, task.progress(now))
    error = task.error()
    if status == "failed" and error:
        body["error"] = {"code": error[0], "message": error[1], "type": "task_error"}
    if status == "completed":
        urls = task.urls(base_url)
        body["results"] = urls if task.model.makes_files else []
        body["result_data"] = _result_data(task, urls)
    return body


def line(task: Task, now: float) -> Json:
    """One task in the task list: no links, only whether there are any."""
    status = task.status(now)
    count = len(task.urls("")) if status == "completed" and task.model.makes_files else 0
    finished = task.finished()
    end = finished if finished is not None and finished <= now else now
    return {
        "id": task.id,
        "model": task.model.name,
        "type": task.model.kind,
        "status": status,
        "progress": task.progress(now),
        "created_at": int(task.created),
        "duration": int(end - task.created),
        "has_results": count > 0,
        "result_count": count,
        "has_error": status == "failed",
        "credits_used": task.credits(status) if status == "completed" else 0,
    }


def _body(task: Task, status: str, progress: int) -> Json:
    unfinished = status in ("pending", "processing")
    info: Json = {"can_cancel": unfinished}
    if unfinished:
        info["estimated_time"] = math.ceil(task.seconds)
    if task.model.kind == "video" and task.model.makes_files:
        info["video_duration"] = film_seconds(whole_request(task.model, task.body))
    return {
        "created": int(task.created),
        "id": task.id,
        "model": task.model.name,
        "object": f"{task.model.kind}.generation.task",
        "progress": progress,
        "status": status,
        "type": task.model.kind,
        "task_info": info,
        "usage": _usage(task, status),
        "billing": _billing(task, status),
    }


def _usage(task: Task, status: str) -> Json:
    usage: Json = {
        "billing_rule": task.billing_rule,
        "credits_reserved": task.reserved,
        "user_group": "default",
    }
    if status in ("completed", "failed", "cancelled", "canceled"):
        used = task.credits(status)
        usage["credits_used"] = used
        usage["cost"] = {
            "credits": used,
            "usd": round(used / CREDITS_PER_USD, 4),
            "cny": round(used / CREDITS_PER_CNY, 4),
        }
    return usage


def _billing(task: Task, status: str) -> Json:
    """The newer account of a task's credits, beside its usage."""
    billing: Json = {"charge_status": "reserved", "refund_status": "not_required", "reserved_credits": task.reserved}
    if status in ("failed", "cancelled", "canceled"):
        billing |= {"charge_status": "released", "refund_status": "completed", "refunded_credits": task.reserved}
    elif status == "completed":
        billing |= {"charge_status": "charged", "charged_credits": task.credits(status)}
    return {**billing, "refund_scope": "account_balance"}


def _result_data(task: Task, urls: list[str]) -> object:
    """A list of links for media; an object for what a later request refers to by name."""
    if task.fault is not None:
        return []
    name = f"sandbox_{task.token[:8]}"
    match task.model.makes:
        case "file":
            return [{output.work.key: url} for output, url in zip(task.outputs, urls, strict=True)]
        case "songs":
            return {"songs": [_song(task, number, url) for number, url in enumerate(urls)]}
        case "character":
            return {"character_name": name, "profile_picture_url": urls[0]}
        case "element":
            params = cast("Json", task.body.get("model_params") or {})
            return {"element_id": name, **{key: params[key] for key in _ELEMENT_FIELDS if key in params}}
        case "persona":
            return {"persona_id": name}
        case "voice":
            return {"voice": f"qwen-tts-vd-{name}"}


def _song(task: Task, number: int, url: str) -> Json:
    return {
        "audio_url": url,
        "title": str(task.body.get("title") or "Untitled"),
        "tags": str(task.body.get("style") or ""),
        "duration": cast("Tone", task.outputs[number].work).seconds,
        "result_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{task.id}/{number}")),
    }
