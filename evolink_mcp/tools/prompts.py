"""Prompts: jobs that a person starts by name, written out for the agent step by step. They cost nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, Completion, CompletionArgument, PromptReference, ResourceTemplateReference
from pydantic import Field

from evolink_mcp.jobs.deadlines import MAX_WAIT_SECONDS
from evolink_mcp.sdk.arguments import first_of

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App

MODEL_TEMPLATE = "evolink://models/{id}"
MAX_COMPLETIONS = 100  # the specification's
MAX_CHARACTERS = 20_000  # of an argument, which is repeated in the answer; a story in a few sentences has a thousand
# The arguments that name a model, and of which kind.
MODEL_ARGUMENTS: dict[tuple[str, str], Literal["image", "video"]] = {
    ("make-image", "model"): "image",
    ("make-video", "model"): "video",
    ("storyboard", "image_model"): "image",
    ("storyboard", "video_model"): "video",
}

# The paid tools that a prompt's job needs.
NEEDS = {
    "make-image": frozenset({"generate_image"}),
    "make-video": frozenset({"generate_video"}),
    "storyboard": frozenset({"generate_image", "generate_video"}),
}

Idea = Annotated[str, Field(description="What it should show, in your own words.")]
Style = Annotated[str, Field(description="The look: watercolour, product photo, film still, …")]
Model = Annotated[str, Field(description="A model's id; omit for the default.")]
Job = Annotated[str, Field(description="A recipe: extend, edit, lip-sync, same-character, upscale, sticker, …")]
Reference = Annotated[str, Field(description="A link or a local file to start from or to edit.")]

WAIT = (
    f"Keep the task_id. Call check_task(task_id, wait_seconds={MAX_WAIT_SECONDS}) until the status is completed, "
    "failed or cancelled. Never submit again to check on a task: every generate call costs credits."
)
KEEP = "Give me saved_path if the result has it, else the link at once: links die 24 hours after the task was made."


async def make_image(
    idea: Idea, style: Style = "", model: Model = "", reference: Reference = "", recipe: Job = ""
) -> str:
    return _steps(
        f"Make one image with the EvoLink tools.\n{_facts(idea=idea, style=style, reference=reference)}",
        *_follow(recipe),
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
    recipe: Job = "",
) -> str:
    return _steps(
        f"Make one video with the EvoLink tools.\n{_facts(idea=idea, seconds=seconds, reference=reference)}",
        *_follow(recipe),
        _choose("video", model),
        _start_from(reference),
        "A video costs many times as much as an image. Tell me the model, length and quality, and wait until I agree.",
        "Write the prompt: subject, what moves, how the camera moves, light, mood. Submit it once with generate_video.",
        WAIT,
        KEEP + " Then ask me what to change.",
    )


async def storyboard(
    story: Annotated[str, Field(description="The story, in a few sentences.")],
    scenes: Annotated[str, Field(description="How many scenes; 4 by default.")] = "4",
    style: Style = "",
    image_model: Model = "",
    video_model: Model = "",
) -> str:
    return _steps(
        f"Make a storyboard with the EvoLink tools.\n{_facts(story=story, scenes=scenes, style=style)}",
        "Write the scenes: a title, one sentence of action and an image prompt for each. Describe people and places in "
        "the same words in every prompt, so that they stay the same. Show me the list, say how many paid images it "
        "takes, and wait until I agree.",
        _choose("image", image_model),
        "Make the first frame with generate_image. Once I like it, make the others with its link in image_urls, so "
        "that they match.",
        WAIT,
        "Show me all frames in order. Ask which of them should move.",
        _choose("video", video_model),
        "For each of those call generate_video once, with its frame in image_urls and what moves as the prompt.",
        KEEP,
    )


def _steps(task: str, *steps: str) -> str:
    numbered = [f"{number}. {step}" for number, step in enumerate((step for step in steps if step), 1)]
    return "\n".join([task, "", *numbered])


def _facts(**facts: str) -> str:
    return "\n".join(f"{name.capitalize()}: {value.strip()}" for name, value in facts.items() if value.strip())


def _choose(kind: str, model: str) -> str:
    if model.strip():
        return f"Use the model {model.strip()}. list_models(model=…) shows what it takes."
    return f"Choose a model: list_models(kind={kind}) lists them. The default is fine unless I need something it lacks."


def _follow(recipe: str) -> Sequence[str]:
    """The steps of the recipe that is named, or nearly so."""
    if not recipe.strip():
        return ()
    from evolink_mcp.registry.recipes import nearest_recipe

    known = nearest_recipe(recipe)
    first = (
        f'Recipe "{known.title}": list_models(query="{known.title.lower()}") names the models for it, '
        "list_models(model=…) what is known of it on one. Tell me what is unknown before you submit."
    )
    return (first, *known.steps)


def _start_from(reference: str) -> str:
    if not reference.strip():
        return ""
    return (
        "Pass the reference in image_urls: a link, or, if the server runs on this machine, a path in an allowed folder."
    )


# Descriptions are not docstrings, which ``python -OO`` removes.
PROMPTS = {
    "make-image": (
        make_image,
        "Make an image",
        "Make one image of an idea: choose a model, write the prompt, generate once, wait, hand it over.",
    ),
    "make-video": (
        make_video,
        "Make a video",
        "Make one video of an idea: choose a model, write the prompt, generate once, wait, hand it over.",
    ),
    "storyboard": (
        storyboard,
        "Make a storyboard",
        "Turn a story into scenes: a key frame for each, in one style, then a clip from each frame you like.",
    ),
}


def list_prompts(tools: Collection[str] | None = None) -> list[Prompt]:
    """The prompts whose jobs these tools can do (None: all prompts), in the order clients show them."""
    return [_prompt(name) for name in PROMPTS if tools is None or NEEDS[name].issubset(tools)]


@cache
def _prompt(name: str) -> Prompt:
    """A prompt, made once: its schema takes as long as the rest of a server."""
    function, title, description = PROMPTS[name]
    return Prompt.from_function(function, name=name, title=title, description=description)


def complete_models(server: MCPServer, app: App) -> None:
    """Completes the names of models, in prompts' arguments and in the resource of one model."""

    @server.completion()
    async def complete(ref: object, argument: CompletionArgument, context: object) -> Completion | None:
        if isinstance(ref, ResourceTemplateReference):
            return _matching(app, None, argument.value) if ref.uri == MODEL_TEMPLATE else None
        if isinstance(ref, PromptReference) and argument.name == "recipe" and ref.name in PROMPTS:
            return _jobs(argument.value)
        kind = MODEL_ARGUMENTS.get((ref.name, argument.name)) if isinstance(ref, PromptReference) else None
        return _matching(app, kind, argument.value) if kind else None

    _ = complete


def _jobs(text: str) -> Completion:
    from evolink_mcp.registry.recipes import recipes

    text = _sought(text)
    matches = [each.id for each in recipes() if text in each.id]
    return Completion(values=matches, total=len(matches), has_more=False)


def _matching(app: App, kind: Literal["image", "video"] | None, text: str) -> Completion:
    """The models that can be called: ids that start with the text first, then ids that contain it."""
    text = _sought(text)
    names = [name for name in app.registry.names(kind) if app.registry.models[name].status != "placeholder"]
    matches = sorted((name for name in names if text in name), key=lambda name: not name.startswith(text))
    return Completion(values=matches[:MAX_COMPLETIONS], total=len(matches), has_more=len(matches) > MAX_COMPLETIONS)


def _sought(text: str) -> str:
    return text[:MAX_CHARACTERS].strip().lower()


def refuse_bad_prompts(prompts: Sequence[Prompt]) -> ServerMiddleware[Any]:
    """Middleware: an unknown prompt or wrong arguments are a protocol error (-32602) that says what is valid."""
    by_name = {prompt.name: prompt.arguments or [] for prompt in prompts}

    def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Awaitable[HandlerResult]:
        if ctx.method == "prompts/get":
            params = ctx.params or {}
            problem = _problem(by_name, str(params.get("name")), params.get("arguments"))
            if problem:
                raise MCPError(code=INVALID_PARAMS, message=problem)
        return call_next(ctx)

    return cast("ServerMiddleware[Any]", middleware)  # no coroutine, which a call that waits would keep


def _problem(prompts: Mapping[str, Sequence[PromptArgument]], name: str, arguments: object) -> str:
    if name not in prompts:
        return f"Unknown prompt: {name[:60]!r}. The prompts are: {', '.join(prompts)}."
    values = cast("dict[str, object]", arguments) if isinstance(arguments, dict) else {}
    names = [argument.name for argument in prompts[name]]
    problems = [f"{each.name} is required" for each in prompts[name] if each.required and not values.get(each.name)]
    problems += [f"unknown argument {each[:40]!r}" for each in values if each not in names]
    problems += [
        f"{each} has {len(value):,} characters, and at most {MAX_CHARACTERS:,} are read"
        for each, value in values.items()
        if each in names and isinstance(value, str) and len(value) > MAX_CHARACTERS
    ]
    return f"{name}: {'; '.join(first_of(problems))}. It takes {', '.join(names)}." if problems else ""
