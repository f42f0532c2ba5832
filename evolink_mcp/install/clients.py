"""The clients, as data: where each keeps its configuration and what an entry looks like there.

Places and keys are those of the makers' documentation. Claude Code and Codex were run; for the others the files were
written as documented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Format = Literal["json", "jsonc", "toml"]

INPUT_ID = "evolink-api-key"


@dataclass(frozen=True)
class Client:
    """One client.

    Attributes:
        files: The places where the user's own configuration file may be, by ``sys.platform``; ``""`` is for all
            others. :mod:`evolink_mcp.install.places` says how they are written. The first is the usual one.
        moved_by: The variable that names another folder for the file, where there is one.
        container: The key that holds the servers.
        fixed: What an entry holds besides command, args and env.
        project_file: The same for one project, where the client has that.
        key_reference: What stands for a key that the client takes from elsewhere when it starts the server;
            ``""`` where it cannot.
        key_needs: What the user does so that ``key_reference`` finds the key.
        remote_url: What an entry calls the address of a remote server; ``""`` where the file takes none.
        remote_fixed: What a remote entry holds besides the address.
        after: What the user does once the file is written.
    """

    id: str
    title: str
    files: Mapping[str, tuple[str, ...]]
    after: str
    format: Format = "json"
    container: str = "mcpServers"
    fixed: Mapping[str, str] = field(default_factory=dict[str, str])
    moved_by: str = ""
    project_file: str = ""
    key_reference: str = ""
    key_needs: str = ""
    remote_url: str = "url"
    remote_fixed: Mapping[str, str] = field(default_factory=dict[str, str])

    def patterns(self, platform: str) -> tuple[str, ...]:
        """The places on a system, the usual one first."""
        return self.files.get(platform, self.files[""])

    @property
    def asks_for_key(self) -> bool:
        """Whether the client asks the user for the key and keeps it outside the file."""
        return self.key_reference.startswith("${input:")


# Names under which VS Code and its builds keep what is the user's.
EDITORS = ("Code", "Code - Insiders", "VSCodium", "VSCodium - Insiders", "Code - OSS")
PORTABLE = ("{VSCODE_PORTABLE}/user-data/User/mcp.json",)


def _editors(folder: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}/User/mcp.json" for name in EDITORS)


IN_ENVIRONMENT = "set EVOLINK_API_KEY in the environment that the client starts in"

CLIENTS = (
    Client(
        id="claude-desktop",
        title="Claude Desktop",
        files={
            "": (
                "{XDG_CONFIG_HOME}/Claude/claude_desktop_config.json",
                "~/.var/app/*[Cc]laude*/config/Claude/claude_desktop_config.json",
                "~/snap/claude*/current/.config/Claude/claude_desktop_config.json",
            ),
            "darwin": ("~/Library/Application Support/Claude/claude_desktop_config.json",),
            "win32": (
                "{APPDATA}/Claude/claude_desktop_config.json",
                # From the Microsoft Store: what the app writes to %APPDATA% lands here, and only this is read.
                "{LOCALAPPDATA}/Packages/*Claude_*/LocalCache/Roaming/Claude/claude_desktop_config.json",
            ),
        },
        remote_url="",
        after="Quit Claude Desktop, also from the menu bar or tray, and start it again.",
    ),
    Client(
        id="claude-code",
        title="Claude Code",
        files={"": ("~/.claude.json",)},
        moved_by="CLAUDE_CONFIG_DIR",
        fixed={"type": "stdio"},
        project_file=".mcp.json",
        key_reference="${EVOLINK_API_KEY:-}",
        key_needs=IN_ENVIRONMENT,
        remote_fixed={"type": "http"},
        after="Start a new session; /mcp shows the server.",
    ),
    Client(
        id="cursor",
        title="Cursor",
        files={"": ("~/.cursor/mcp.json",)},
        project_file=".cursor/mcp.json",
        key_reference="${env:EVOLINK_API_KEY}",
        key_needs=IN_ENVIRONMENT,
        after="Cursor notices the change; switch the server on in its settings, under MCP.",
    ),
    Client(
        id="vscode",
        title="VS Code",
        files={
            "": (
                *_editors("{XDG_CONFIG_HOME}"),
                *_editors("~/.var/app/com.visualstudio.code*/config"),
                *_editors("~/.var/app/com.vscodium.*/config"),
                *_editors("~/snap/cod*/current/.config"),
                *PORTABLE,
                "~/.vscode-server*/data/User/mcp.json",
            ),
            "darwin": (*_editors("~/Library/Application Support"), *PORTABLE),
            "win32": (*_editors("{APPDATA}"), *PORTABLE, "~/scoop/persist/vscod*/data/user-data/User/mcp.json"),
        },
        format="jsonc",
        container="servers",
        fixed={"type": "stdio"},
        project_file=".vscode/mcp.json",
        key_reference=f"${{input:{INPUT_ID}}}",
        key_needs="VS Code asks for the key when it starts the server, and keeps it in its secret storage",
        remote_fixed={"type": "http"},
        after="Run “MCP: List Servers” and start evolink.",
    ),
    Client(
        id="codex",
        title="Codex",
        files={"": ("~/.codex/config.toml",)},
        moved_by="CODEX_HOME",
        format="toml",
        container="mcp_servers",
        key_needs=IN_ENVIRONMENT,
        after="Start a new session; /mcp shows the server.",
    ),
    Client(
        id="windsurf",
        title="Windsurf",
        files={"": ("~/.codeium/windsurf/mcp_config.json", "~/.codeium/windsurf-next/mcp_config.json")},
        key_reference="${env:EVOLINK_API_KEY}",
        key_needs=IN_ENVIRONMENT,
        remote_url="serverUrl",
        after="Refresh the list of MCP servers in Cascade.",
    ),
    Client(
        id="gemini-cli",
        title="Gemini CLI",
        files={"": ("~/.gemini/settings.json",)},
        format="jsonc",
        project_file=".gemini/settings.json",
        key_reference="${EVOLINK_API_KEY}",
        key_needs=IN_ENVIRONMENT,
        remote_url="httpUrl",
        after="Start a new session; /mcp shows the server.",
    ),
    Client(
        id="zed",
        title="Zed",
        files={
            "": ("{XDG_CONFIG_HOME}/zed/settings.json", "~/.var/app/dev.zed.Zed*/config/zed/settings.json"),
            "darwin": ("~/.config/zed/settings.json",),
            "win32": ("{APPDATA}/Zed/settings.json",),
        },
        format="jsonc",
        container="context_servers",
        after="Zed notices the change; its agent settings show the server.",
    ),
)
BY_ID: Mapping[str, Client] = {client.id: client for client in CLIENTS}
