"""What a creation request must look like before it becomes a task.

The two models with pages of their own are held to them (S3, S4). For all others
only what every model shares is checked: the model, the prompt, the types.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

from evolink_mcp.sandbox.catalog import MediaKind, Model
from evolink_mcp.sandbox.fetch import on_loopback
from evolink_mcp.sandbox.plans import AUTOMATIC
from evolink_mcp.sandbox.sizes import TIERS, picture_size, s3_size
from evolink_mcp.sandbox.wire import Json, Refusal

CALLBACK_MAX = 2048  # S3, S4
LONGEST_FILM = 60  # no model of S2 reaches it; keeps the renderer in bounds
MOST_PICTURES = 15  # the largest n any model's page allows

_S4_SIZES = ("1:1", "2:3", "3:2", "1024x1024", "1024x1536", "1536x1024")  # S4

_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "prompt": (str, "a string"),
    "size": (str, "a string"),
    "resolution": (str, "a string"),
    "quality": (str, "a string"),
    "aspect_ratio": (str, "a string"),
    "output_format": (str, "a string"),
    "sound": (str, "a string"),
    "image_start": (str, "a string"),
    "image_end": (str, "a string"),
    "callback_url": (str, "a string"),
    "mask_url": ((str, list), "a string"),  # one avatar model takes a list
    "image_urls": (list, "an array of strings"),
    "video_urls": (list, "an array of strings"),
    "n": (int, "an integer"),
    "duration": ((int, str), "an integer"),  # or auto, where a model takes it
    "seed": (int, "an integer"),
    "generate_audio": (bool, "a boolean"),
    "model_params": (dict, "an object"),
}


def check(body: Json, kind: MediaKind, models: Mapping[str, Model]) -> Model:
    """The model, one of ``models``, of a valid request to the endpoint of ``kind``. A null counts as not given.

    Raises:
        Refusal: 400 naming the parameter.
    """
    body = {name: value for name, value in body.items() if value is not None}
    model = _model(body.get("model"), kind, models)
    for name in _TYPES.keys() & body.keys():
        types, wanted = _TYPES[name]
        # To Python a boolean is an integer; to JSON it is not.
        if not isinstance(body[name], types) or (isinstance(body[name], bool) and types is not bool):
            raise _bad(name, f"{name} has to be {wanted}")
    for name in ("image_urls", "video_urls"):
        if not all(isinstance(item, str) and item for item in _list(body, name)):
            raise _bad(name, f"{name} has to be an array of strings")
    if not str(body.get("prompt") or "").strip() and model.needs_prompt:
        raise _bad("prompt", "prompt is required")
    if "callback_url" in body:
        _check_callback(str(body["callback_url"]))
    (_PAGES[model.page] if model.page else _CHECKS[kind])(body)
    return model


def _bad(param: str, message: str) -> Refusal:
    return Refusal(400, message, param=param)


def _list(body: Json, name: str) -> list[object]:
    return cast("list[object]", body.get(name) or [])


def _model(name: object, kind: MediaKind, models: Mapping[str, Model]) -> Model:
    if not isinstance(name, str) or not name:
        raise _bad("model", "model is required")
    model = models.get(name)
    if model is None:
        raise _bad("model", f"there is no model {name}")
    if model.placeholder:
        raise _bad("model", f"{name} cannot be called; name a task, as in {name}-text-to-video")
    if model.kind != kind:
        raise _bad("model", f"{name} makes {model.kind}s; call /v1/{model.kind}s/generations")
    return model


def _check_callback(url: str) -> None:
    """S3 and S4: https only, at most 2048 characters, no internal address.

    One rule is this sandbox's own: it is on this machine, and so calls back to this machine, over http too.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise _bad("callback_url", "callback_url is not a URL") from None
    if on_loopback(url) and len(url) <= CALLBACK_MAX:
        return
    if parts.scheme != "https" or not host:
        raise _bad("callback_url", "callback_url has to be an https URL")
    if len(url) > CALLBACK_MAX:
        raise _bad("callback_url", f"callback_url may have at most {CALLBACK_MAX} characters")
    if _internal(host.rstrip(".").lower()):
        raise _bad("callback_url", "callback_url may not point to an internal address")


def _internal(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))


def _check_references(body: Json, most: int) -> int:
    urls = _list(body, "image_urls")
    if body.get("image_urls") == []:
        raise _bad("image_urls", "image_urls has to name at least one image")
    if len(urls) > most:
        raise _bad("image_urls", f"image_urls may name at most {most} images")
    if not all(str(url).startswith(("http://", "https://")) for url in urls):
        raise _bad("image_urls", "image_urls takes http and https URLs")
    return len(urls)


def _check_prompt(body: Json, most: int) -> None:
    # len() of a Python string counts Unicode code points, as S3 does.
    if len(str(body.get("prompt"))) > most:
        raise _bad("prompt", f"prompt may have at most {most} characters")


def _check_s3(body: Json) -> None:
    """S3."""
    _check_prompt(body, 32_000)
    n = cast("int", body.get("n", 1))
    if not 1 <= n <= 10:
        raise _bad("n", "n has to be from 1 to 10")
    resolution = str(body.get("resolution") or "1K")
    if resolution.upper() not in TIERS:
        raise _bad("resolution", "resolution is one of 1K, 2K, 4K")
    if s3_size(str(body.get("size") or "auto"), resolution) is None:
        raise _bad("size", "size is auto, one of the 15 ratios, or WxH within the pixel rules")
    if body.get("quality", "medium") not in ("low", "medium", "high"):
        raise _bad("quality", "quality is one of low, medium, high")
    _check_references(body, 16)


def _check_s4(body: Json) -> None:
    """S4."""
    _check_prompt(body, 1000)
    if body.get("n", 1) not in (1, 2, 4):
        raise _bad("n", "n is one of 1, 2, 4")
    if body.get("size", "1:1") not in _S4_SIZES:
        raise _bad("size", f"size is one of {', '.join(_S4_SIZES)}")
    if _check_references(body, 5) > 1 and body.get("mask_url"):
        raise _bad("mask_url", "mask_url does not go with more than one reference image")


def _check_picture(body: Json) -> None:
    if not 1 <= cast("int", body.get("n", 1)) <= MOST_PICTURES:
        raise _bad("n", f"n has to be from 1 to {MOST_PICTURES}")
    if picture_size(str(body.get("size", "auto"))) is None:
        raise _bad("size", "size is out of bounds")


def _check_film(body: Json) -> None:
    duration = body.get("duration", 1)
    if duration not in AUTOMATIC and not (isinstance(duration, int) and 1 <= duration <= LONGEST_FILM):
        raise _bad("duration", f"duration has to be from 1 to {LONGEST_FILM} seconds")


def _check_sound(body: Json) -> None:
    """Nothing of its own: the sandbox's sounds do not depend on the request."""


_PAGES: dict[str, Callable[[Json], None]] = {"S3": _check_s3, "S4": _check_s4}
_CHECKS: dict[MediaKind, Callable[[Json], None]] = {
    "image": _check_picture,
    "video": _check_film,
    "audio": _check_sound,
}
