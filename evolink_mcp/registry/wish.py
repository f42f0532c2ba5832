"""What a request asks of its result: plain values by parameter, small enough to be kept with a task.

A wish says nothing of prompts and links. Beside the parameters and flags (``--ar``) it has what the model's defaults
decide, by role (``DEFAULT``), and what is to be kept of the first input (``INPUT``).
"""

from collections.abc import Mapping
from typing import cast

from evolink_mcp.registry.conditions import is_number, lookup, meets
from evolink_mcp.registry.judges import ratio_of
from evolink_mcp.registry.roles import Roles, forbids, idle, sized
from evolink_mcp.registry.sizes import form_of
from evolink_mcp.registry.spec import EMPTY, FileFacts, Model

MAX_WORD_CHARACTERS = 40
DEFAULT = "default"
INPUT = "input"
"""``width``, ``height``, ``edge``, ``seconds``, ``sound``, ``longer_than``, ``added``, ``either``
(the whole or what is added: the page leaves it open), ``spoken``: each only where it counts."""
DRAFT = (True, "draft")

Wish = Mapping[str, object]


def wish_of(
    roles: Roles, model: Model, call: Mapping[str, object], files: Mapping[str, FileFacts] = EMPTY
) -> dict[str, object]:
    """The wish of a call. ``files`` is what is known of its inputs, by link or by task id."""
    without, settled = idle(model, call), roles.settled(model, call)
    wish: dict[str, object] = {}
    for path, _, role in roles.decisive(model):
        value = lookup(call, path)
        plain = isinstance(value, str | int | float) and len(str(value)) <= MAX_WORD_CHARACTERS
        if plain and role not in settled and path not in without and value not in roles.follow:
            wish[path] = value
    read = model.flags.read if model.flags else ()
    for name, value in roles.flags_in(model, call).items():
        if name in read and roles.flags[name] and value:
            wish[f"--{name}"] = value
    if defaults := defaults_of(roles, model, call):
        wish[DEFAULT] = defaults
    if of_input := _of_input(roles, model, call, files):
        wish[INPUT] = of_input
    return wish


def defaults_of(roles: Roles, model: Model, call: Mapping[str, object]) -> dict[str, object]:
    """What the model decides of the result where this call leaves it open, by role."""
    flags = roles.flags_in(model, call) if model.flags else EMPTY
    said = {roles.flags[name] for name in flags} | roles.settled(model, call) | roles.inherited(model, call)
    decided: dict[str, object] = {}
    for path, parameter, role in roles.decisive(model):
        if roles.value(model, call, role) is not None:
            said.add(role)
        value = parameter.default
        if role in said or role in decided or value is None or value in roles.follow:
            continue
        if _decides(roles, role, value) and not forbids(model, call, path, value):
            decided[role] = value in DRAFT if role == "draft" else value
    for making in model.makes:
        if meets(making.when, call):
            decided = {role: value for role, value in making.values.items() if role not in said} | decided
            break
    if model.sound == "always" and model.endpoint == "video":
        decided.setdefault("sound", True)
    return decided


def is_draft(roles: Roles, model: Model, wish: Wish) -> bool | None:
    """Whether the task of a wish is a draft; ``None`` where that is not known."""
    value = next((wish[path] for path, _, role in roles.decisive(model) if role == "draft" and path in wish), None)
    if value is None:
        defaults = wish.get(DEFAULT)
        value = cast("Wish", defaults).get("draft") if isinstance(defaults, Mapping) else None
    return None if value is None else value in DRAFT


def _decides(roles: Roles, role: str, value: object) -> bool:
    """Whether a default says something of the result: an effort is no tier, and -1 is no length."""
    match role:
        case "tier":
            return str(value).lower() in roles.tiers
        case "shape":
            return form_of(value) != "word" or ratio_of(value) is not None
        case "seconds" | "number":
            return is_number(value) and cast(float, value) > 0
        case "sound" | "draft":
            return True
        case _:
            return False


def _of_input(
    roles: Roles, model: Model, call: Mapping[str, object], files: Mapping[str, FileFacts]
) -> dict[str, object]:
    """What the result has to have of the first input."""
    spoken = roles.spoken_seconds(model, call, files)
    of_input: dict[str, object] = {} if spoken is None else {"spoken": spoken}
    facts = sized(files, roles.first_input(model, call))
    if facts is None:
        return of_input
    kept = roles.inherited(model, call)
    if takes_shape(roles, model, call):
        of_input |= {"width": facts.width, "height": facts.height}
    if "edge" in kept and facts.width and facts.height:
        factor = roles.parameter(model, "scale")
        scale = _number(roles.value(model, call, "scale")) or _number(factor.default if factor else 1) or 1
        of_input["edge"] = min(facts.width, facts.height) * scale
    asked = roles.value(model, call, "seconds")
    if "seconds" in kept and facts.seconds and not (is_number(asked) and cast(float, asked) > 0):
        of_input["seconds"] = facts.seconds
    if "longer" in kept and facts.seconds:
        of_input["longer_than"] = facts.seconds
        added = roles.parameter(model, "added")
        if added is not None and is_number(value := call.get(added.name, added.default)):
            of_input["added"] = value
        elif is_number(asked) and cast(float, asked) > 0:
            of_input["either"] = asked
    muted = any(call.get(name) is False for name in roles.mute)
    if "sound" in kept and facts.has_audio and not muted and roles.value(model, call, "sound") not in (False, "off"):
        of_input["sound"] = True
    return of_input


def takes_shape(roles: Roles, model: Model, call: Mapping[str, object]) -> bool:
    """Whether the result has the shape of the first input, and nobody asked for another."""
    shape = roles.parameter(model, "shape")
    value = call.get(shape.name) if shape else None
    if value is not None:
        return value in roles.follow
    if "shape" in roles.inherited(model, call):
        return True
    default = shape.default if shape else None
    return default in roles.follow or (roles.makes_still(model) and not roles.has_clip(call))


def _number(value: object) -> float:
    try:
        return float(cast(str, value)) if isinstance(value, str) or is_number(value) else 0.0
    except ValueError:
        return 0.0
