"""A refused call, with what to do in its place: the models that take this very call, checked and not guessed."""

from __future__ import annotations

from collections.abc import Mapping

from evolink_mcp.errors import Refused
from evolink_mcp.gateway.media import Media
from evolink_mcp.media.inputs import LocalInputs
from evolink_mcp.registry import Checked, FileFacts, Registry, without_sources
from evolink_mcp.sdk.arguments import first_of

MAX_ALTERNATIVES = 4
SECONDS = 1.5  # to look for them among all models: a fifth of that, where nothing else runs


def refusal(
    registry: Registry,
    kind: Media,
    checked: Checked,
    local: LocalInputs,
    files: Mapping[str, FileFacts],
    seconds: float = SECONDS,
) -> Refused:
    """The error for a call with problems. May take ``seconds``: not for the event loop."""
    messages = [local.name_files(without_sources(problem.message)) for problem in checked.problems]
    text = "\n".join(first_of(messages))
    return Refused(
        text, code="invalid_parameters", next_step=_next_step(registry, kind, checked, local, files, seconds)
    )


def _next_step(
    registry: Registry,
    kind: Media,
    checked: Checked,
    local: LocalInputs,
    files: Mapping[str, FileFacts],
    seconds: float,
) -> str:
    model = checked.model
    if model is None:
        return "Call again with one of these as model; list_models(query=…) finds others."
    others: list[str] = []
    if model.endpoint == kind:
        registry.names()  # the first time, every data file is read: that is no part of the search
        others = registry.alternatives(model.id, MAX_ALTERNATIVES, local.params, files, seconds)
    steps = [f"Correct this and call again; list_models(model={model.id!r}) shows all {model.id} takes."]
    if others:
        steps.append(f"Or use a model that takes this very call: {', '.join(others)}.")
    else:
        taken = [f"{each.parameter} is taken by {', '.join(each.takers)}" for each in checked.problems if each.takers]
        steps += [f"{'; '.join(first_of(taken))}."] if taken else []
    return " ".join(steps)
