"""Prompts: jobs a person can start by name, told to the agent step by step. They cost nothing by themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, Completion, CompletionArgument, PromptReference, ResourceTemplateReference
from pydantic import Field

from evolink_mcp.tools.app import App

MODEL_TEMPLATE = "evolink://models/{id}"
MAX_COMPLETIONS = 100  # the specification's
# The arguments that name a model, and of which kind.
MODEL_ARGUMENTS: dict[tuple[str, str], Literal["image", "video"]] = {
    ("make-image", "model"): "image",
    ("make-video", "model"): "video",
    ("storyboard", "image_model"): "image",
    ("storyboard", "video_model"): "video",
}

# The paid tools that a prompt's job takes.
NEEDS = {
    "make-image": frozenset({"generate_image"}),
    "make-video": frozenset({"generate_video"}),
    "storyboard": frozenset({"generate_image", "generate_video"}),
}

Idea = Annotated[str, Field(description="What it shall show, in your own words.")]
Style = Annotated[str, Field(description="The look: watercolour, product photo, film still, …")]
Model = Annotated[str, Field(description="A model's id; the default if left out.")]
Reference = Annotated[str, Field(description="A link or a local file to start from or to edit.")]

WAIT = (
    "Keep the task_id. Wait with check_task(task_id, wait_seconds=45), again until the status is completed, failed or "
    "cancelled. Never submit again to see how far it is: every generate call costs credits."
)
KEEP = "Give me saved_path where the result has it, else the link at once: links die 24 hours after the task was made."


async def make_image(idea: Idea, style: Style = "", model: Model = "", reference: Reference = "") -> str:
    """Make one image of an idea: choose a model, write the prompt, generate once, wait, hand it over."""
    return _steps(
        f"Make one image with the EvoLink tools.\n{_facts(idea=idea, style=style, reference=reference)}",
        _choose("image", model),
        _start_from(reference),
        "Write the prompt: subject, setting, light, composition, style. Submit it once with generate_image.",
        WAIT,
        KEEP + " Then ask me what to change. A change is a new generate_image, with the last result in image_urls.",
    )


async def make_video(
    idea: Idea,
    seconds: Annotated[str, Field(description="The length in seconds.")] = "",
    model: Model = "",
    reference: Reference = "",
) -> str:
    """Make one video of an idea: choose a model, write the prompt, generate once, wait, hand it over."""
    return _steps(
        f"Make one video with the EvoLink tools.\n{_facts(idea=idea, seconds=seconds, reference=reference)}",
        _choose("video", model),
        _start_from(reference),
        "A video costs many times what an image does. Tell me model, length and quality, and wait for my yes.",
        "Write the prompt: subject, what moves, how the camera moves, light, mood. Submit it once with generate_video.",
        WAIT,
        KEEP + " Then ask me what to change.",
    )


async def storyboard(
    story: Annotated[str, Field(description="The story, in a few sentences.")],
    scenes: Annotated[str, Field(description="How many scenes; 4 if left out.")] = "4",
    style: Style = "",
    image_model: Model = "",
    video_model: Model = "",
) -> str:
    """Turn a story into scenes: one key frame for each, in one style, and then a clip from each frame you like."""
    return _steps(
        f"Make a storyboard with the EvoLink tools.\n{_facts(story=story, scenes=scenes, style=style)}",
        "Write the scenes: a title, one sentence of action and an image prompt each. Repeat the looks of people and "
        "places word for word in every prompt, so that they stay the same. Show me the list, say how many paid images "
        "it means, and wait for my yes.",
        _choose("image", image_model),
        "Make the first frame with generate_image. When I like it, make the others with its link in image_urls, so "
        "that they match.",
        WAIT,
        "Show me all frames in order. Ask which of them shall move.",
        _choose("video", video_model),
        "For each of those submit generate_video once, with its frame in image_urls and what moves as the prompt.",
        KEEP,
    )


def _steps(task: str, *steps: str) -> str:
    numbered = [f"{number}. {step}" for number, step in enumerate((step for step in steps if step), 1)]
    return "\n".join([task, "", *numbered])


def _facts(**facts: str) -> str:
    return "\n".join(f"{name.capitalize()}: {value.strip()}" for name, value in facts.items() if value.strip())


def _choose(kind: str, model: str) -> str:
    if model.strip():
        return f"Use the model {model.strip()}. list_models(model=…) tells what it takes; arguments are checked first."
    return f"Choose a model: list_models(kind={kind}) lists them. The default is fine where nothing speaks against it."


def _start_from(reference: str) -> str:
    if not reference.strip():
        return ""
    return (
        "Pass the reference in image_urls: a link, or, where the server runs on this machine, "
        "a path in an allowed folder."
    )


def list_prompts(tools: Collection[str] | None = None) -> list[Prompt]:
    """The prompts whose jobs can be done with these tools (None: with all), in the order clients show them."""
    prompts = [
        Prompt.from_function(make_image, name="make-image", title="Make an image"),
        Prompt.from_function(make_video, name="make-video", title="Make a video"),
        Prompt.from_function(storyboard, name="storyboard", title="Make a storyboard"),
    ]
    return [prompt for prompt in prompts if tools is None or NEEDS[prompt.name].issubset(tools)]


def complete_models(server: MCPServer, app: App) -> None:
    """Lets clients complete the names of models: in prompts' arguments, and in the resource of one model."""

    @server.completion()
    async def complete(ref: object, argument: CompletionArgument, context: object) -> Completion | None:
        if isinstance(ref, ResourceTemplateReference):
            return _matching(app, None, argument.value) if ref.uri == MODEL_TEMPLATE else None
        kind = MODEL_ARGUMENTS.get((ref.name, argument.name)) if isinstance(ref, PromptReference) else None
        return _matching(app, kind, argument.value) if kind else None

    _ = complete


def _matching(app: App, kind: Literal["image", "video"] | None, typed: str) -> Completion:
    """The models that can be called: those whose ids start as typed, then those that hold it."""
    typed = typed.strip().lower()
    names = [name for name in app.registry.names(kind) if app.registry.models[name].status != "placeholder"]
    found = sorted((name for name in names if typed in name), key=lambda name: not name.startswith(typed))
    return Completion(values=found[:MAX_COMPLETIONS], total=len(found), has_more=len(found) > MAX_COMPLETIONS)


def refuse_bad_prompts(prompts: Sequence[Prompt]) -> ServerMiddleware[Any]:
    """Middleware: an unknown prompt, or arguments that do not fit, are protocol errors (-32602) that say what fits."""
    by_name = {prompt.name: prompt.arguments or [] for prompt in prompts}

    async def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method == "prompts/get":
            params = ctx.params or {}
            problem = _problem(by_name, str(params.get("name")), params.get("arguments"))
            if problem:
                raise MCPError(code=INVALID_PARAMS, message=problem)
        return await call_next(ctx)

    return middleware


def _problem(prompts: Mapping[str, Sequence[PromptArgument]], name: str, given: object) -> str:
    if name not in prompts:
        return f"Unknown prompt: {name[:60]!r}. The prompts are: {', '.join(prompts)}."
    values = cast("dict[str, object]", given) if isinstance(given, dict) else {}
    known = [argument.name for argument in prompts[name]]
    missing = [each.name for each in prompts[name] if each.required and not values.get(each.name)]
    told = [f"{each} is required" for each in missing]
    told += [f"unknown argument {each[:40]!r}" for each in values if each not in known]
    return f"{name}: {'; '.join(told)}. It takes {', '.join(known)}." if told else ""
