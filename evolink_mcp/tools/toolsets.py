"""Which tools are offered: what the operator allows, less what a caller leaves out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mcp.server.mcpserver.tools import Tool

from evolink_mcp.settings import TOOLSETS, Settings, Toolset, parse_toolsets
from evolink_mcp.tools import choosing
from evolink_mcp.tools.declare import Declaration

if TYPE_CHECKING:
    from evolink_mcp.tools.app import App

HEADER = "x-evolink-toolsets"
MAX_INSTRUCTIONS = 2_048  # characters; Claude Code cuts what is longer
READ_ONLY = "This server is read-only: tools that spend or change something are not offered."
# Where the tools of a toolset are declared, in the order clients show them; the first holds its instructions.
MODULES: dict[Toolset, tuple[str, ...]] = {
    "media": ("media", "files", "models"),
    "audio": ("audio", "media", "models"),
    "text": ("text",),
    "account": ("account", "media"),
}

Offer = Mapping[Toolset, Sequence[Tool]]
Headers = Mapping[str, str]


def build_offer(app: App) -> Offer:
    """The tools of the toolsets that the operator allows.

    What is not offered is not built, nor its modules loaded: a host waits for this at every start.
    """
    return {
        toolset: [
            declaration.build(app)
            for module in MODULES[toolset]
            for declaration in vars(import_module(f"evolink_mcp.tools.{module}")).values()
            if isinstance(declaration, Declaration) and toolset in declaration.toolsets
        ]
        for toolset in TOOLSETS
        if toolset in app.settings.toolsets
    }


def allowed(offer: Offer, settings: Settings) -> list[Tool]:
    """The tools of an offer, each once; on a read-only server those that spend and change nothing."""
    tools = {tool.name: tool for toolset in offer.values() for tool in toolset}
    read_only = settings.read_only
    return [tool for tool in tools.values() if not read_only or (tool.annotations and tool.annotations.read_only_hint)]


def instructions(tools: Collection[str], settings: Settings, folders: Sequence[Path] | None = None) -> str:
    """What a host tells its model of this server: of the tools it offers, and the ``folders`` where files may lie.

    Hosts cut what is longer than ``MAX_INSTRUCTIONS``: then the good choices are left to list_models, and if need be
    the names of folders too.
    """
    texts = (_filled(tools, settings, folders, level) for level in range(3))
    return next((text for text in texts if len(text) <= MAX_INSTRUCTIONS), _filled(tools, settings, folders, 2))


def _filled(tools: Collection[str], settings: Settings, folders: Sequence[Path] | None, level: int) -> str:
    texts: list[str] = []
    for toolset in TOOLSETS:
        if toolset in settings.toolsets:
            module = import_module(f"evolink_mcp.tools.{MODULES[toolset][0]}")
            texts += [text for name, text in module.INSTRUCTIONS.items() if name in tools][:1]
    text = "\n\n".join([*texts, *([READ_ONLY] if settings.read_only else [])])
    if "{" not in text:
        return text
    return (
        text.replace("{defaults}", choosing.defaults_text(settings, brief=level > 1))
        .replace("{choices}", "" if level else f" {choosing.choices_text()}")
        .replace("{audio}", "" if "generate_audio" in tools else " No music or speech here: that is toolset audio.")
        .replace("{speech}", choosing.speech_model())
        .replace("{files}", choosing.files_text(folders, brief=level > 1))
    )


def narrow(offer: Offer, tools: Sequence[Tool]) -> Callable[[Headers | None], list[str]]:
    """Tells the names of those of ``tools`` that a request's headers leave: its own toolsets can only take away.

    The function raises ValueError where the header names a toolset that does not exist, or leaves no tool.
    """
    names = {tool.name for tool in tools}

    def names_for(headers: Headers | None) -> list[str]:
        value = (headers or {}).get(HEADER, "").strip()
        if not value:
            return [tool.name for tool in tools]
        try:
            toolsets = parse_toolsets(value)
        except ValueError as error:
            raise ValueError(f"The header X-EvoLink-Toolsets {error}") from None
        rest = dict.fromkeys(tool.name for each in offer if each in toolsets for tool in offer[each])
        if names and not names.intersection(rest):
            raise ValueError(
                f"The header X-EvoLink-Toolsets leaves no tool: this server offers nothing of {', '.join(toolsets)}."
            )
        return [name for name in rest if name in names]

    return names_for
