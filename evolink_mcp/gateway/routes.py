"""The paths of the gateway's REST API: requests are made of them, and metrics name requests by them."""

from __future__ import annotations

import re

GENERATIONS = {media: f"/v1/{media}s/generations" for media in ("image", "video", "audio")}
TASKS = "/v1/tasks"
TASK = "/v1/tasks/{id}"
TASK_BATCH = "/v1/tasks/batch"
CREDITS = "/v1/credits"
MODELS = "/v1/models"
ESTIMATES = "/v1/agent-estimates"
PRICING_RULES = "/v1/catalog/models/{id}/pricing-rules"
PRICES = "/web/api/models/pricing"
MESSAGES = "/v1/messages"
UPLOADS = {way: f"/api/v1/files/upload/{way}" for way in ("base64", "stream", "url")}
FILES = "/api/v1/files/list"
QUOTA = "/api/v1/files/quota"
FILE = "/api/v1/files/{id}"

_READS = (TASKS, TASK_BATCH, CREDITS, MODELS, ESTIMATES, PRICING_RULES, PRICES, FILES, QUOTA, TASK, FILE)
_ROUTES = (*GENERATIONS.values(), MESSAGES, *UPLOADS.values(), *_READS)
_PATTERNS = tuple((re.compile(route.replace("{id}", "[^/]+") + "$"), route) for route in _ROUTES)


def route_of(path: str) -> str:
    """The route of a path, below whatever the base URL has before it; "other" for what is none."""
    return next((route for pattern, route in _PATTERNS if pattern.search(path)), "other")
