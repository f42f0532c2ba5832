"""What the sandbox has to know of each model to play it, made of the registry.

Names, kinds and what comes out only: limits stay in the registry, and the sandbox's own (S3, S4) in its code.
"""

from __future__ import annotations

import json
from typing import Any

from evolink_mcp.registry import Model, Registry
from manifests.facts import ROOT

PATH = ROOT / "evolink_mcp" / "sandbox" / "data" / "models.json"


_FOLLOWING = {"video-edit", "upscale", "extend", "lip-sync"}
_DECISIVE = ("size", "aspect_ratio", "resolution", "quality", "duration", "n", "sound")


def _has_default(model: Model, name: str) -> bool:
    parameter = model.parameters.get(name)
    return parameter is not None and parameter.default is not None


def sandbox_models(registry: Registry) -> str:
    """The file's text: one line a model, aliases included."""
    rows = {name: _row(model) for model in registry.models.values() for name in (model.id, *model.aliases)}
    lines = (f" {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _row(model: Model) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": model.endpoint}
    prompt = model.parameters.get("prompt")
    required = prompt.required if prompt else None
    if required is None or required.when or required.unless or required.hold == "warn":
        row["needs_prompt"] = False
    if model.kind == "asset":
        row["makes"] = next(word.removeprefix("create-") for word in model.capabilities if word.startswith("create-"))
    if "music" in model.capabilities:
        row["makes"] = "songs"
    sound = model.parameters.get("generate_audio")
    if model.sound == "always" or (sound is not None and sound.default is True):
        row["sound"] = True
    if defaults := {name: model.parameters[name].default for name in _DECISIVE if _has_default(model, name)}:
        row["defaults"] = defaults
    for making in model.makes:
        row["drafts" if making.when else "number"] = making.values["number"]
    if model.flags and "ar" in model.flags.read:
        row["flags"] = True
    if _FOLLOWING & {*model.capabilities} and "reference-to-video" not in model.capabilities:
        row["follows"] = True
        added = any(parameter.outcome == "added" for parameter in model.parameters.values())
        if "extend" in model.capabilities:
            row["extends"] = "added" if added else "total"
        params = model.parameters.get("model_params")
        if params and "upscale_factor" in params.properties:
            row["scales"] = True
    for source in {"S3", "S4"} & {*model.sources}:
        row["page"] = source
    if model.status == "placeholder":
        row["placeholder"] = True
    return row
