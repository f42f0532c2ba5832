"""The generated parts of the README and of docs/settings.md, each between a pair of markers."""

from __future__ import annotations

import re

from evolink_mcp.install.clients import CLIENTS, Client
from evolink_mcp.registry import load
from evolink_mcp.settings.table import IMAGE_MODEL, VARIABLES, VIDEO_MODEL, Variable
from manifests.clients import cursor_link, vscode_link
from manifests.facts import REGISTRY_NAME


def pages() -> dict[str, dict[str, str]]:
    """The generated parts by their name, of each page that has some."""
    readme = {"name": registry_name(), "clients": clients(), "links": links()}
    return {"README.md": readme, "docs/settings.md": {"environment": environment()}}


def filled(page: str, parts: dict[str, str]) -> str:
    """A page's text with every generated part as it should be.

    Raises:
        ValueError: A pair of markers is missing.
    """
    for name, text in parts.items():
        begin, end = f"<!-- {name}: made by make manifests -->\n", f"<!-- {name}: end -->\n"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not pattern.search(page):
            raise ValueError(f"a page lacks the markers of {name}")
        page = pattern.sub(lambda _, whole=begin + text + end: whole, page)
    return page


def registry_name() -> str:
    """What the MCP registry looks for in the package's description, as a proof of ownership."""
    return f"<!-- mcp-name: {REGISTRY_NAME} -->\n"


def environment() -> str:
    """The table of variables, for a page in docs/."""
    meanings = [each.meaning.replace("](docs/", "](") for each in VARIABLES]
    rows = [
        f"| `{each.name}` | {_default(each)} | {meaning} |" for each, meaning in zip(VARIABLES, meanings, strict=True)
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows, ""])


def _default(variable: Variable) -> str:
    """A model's name stands in the registry alone."""
    kinds = {IMAGE_MODEL: "image", VIDEO_MODEL: "video"}
    if variable.name in kinds:
        return f"`{load().defaults[kinds[variable.name]]}`"
    return variable.default_text


def clients() -> str:
    """One paste for each client, and the file it changes."""
    head = ["| client | one paste | the file, if you prefer to edit it |", "|---|---|---|"]
    return "\n".join([*head, *(_row(client) for client in CLIENTS), ""])


def _row(client: Client) -> str:
    key = "" if client.asks_for_key else " --env EVOLINK_API_KEY=your-key"
    places = [client.files[""][0], *(files[0] for system, files in client.files.items() if system)]
    shown = "<br>".join(f"`{place}`" for place in dict.fromkeys(map(_plain, places)))
    return f"| {client.title} | `evolink-mcp install {client.id} --write{key}` | {shown} |"


def _plain(place: str) -> str:
    """The usual place, as a person would write it."""
    return place.replace("{XDG_CONFIG_HOME}", "~/.config").replace("{APPDATA}", "%APPDATA%")


def links() -> str:
    """Buttons of the two clients that have them."""
    return (
        f"[![Add to Cursor](https://cursor.com/deeplink/mcp-install-dark.svg)]({cursor_link()})\n"
        f"[![Install in VS Code](https://img.shields.io/badge/VS_Code-Install_evolink-0098FF)]({vscode_link()})\n"
    )
