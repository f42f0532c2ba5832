"""Configuration files as they are found on people's machines: for each, its client and its bytes."""

from __future__ import annotations

DESKTOP = """\
{
    "globalShortcut": "Ctrl+Space",
    "mcpServers": {
        "filesystem": {
            "command": "npx",
            "args": ["-y", "@modelcontextprotocol/server-filesystem", "/Users/zoë/Desktop"]
        },
        "müller": {"command": "/usr/bin/true", "env": {"PRICE": "1.50e3"}}
    },
    "scale": 1.10
}
"""

CLAUDE_CODE = (
    '{"numStartups":41,"theme":"dark","projects":{"/home/a/b":{"mcpServers":{"evolink":{"command":"not-ours"}},'
    '"history":[{"display":"/mcp // not a comment"}]}},"mcpServers":{"github":{"type":"http","url":"https://x.example/"}}}'
)

VSCODE = """\
// Servers for every workspace
{
\t"inputs": [
\t\t// asked once
\t\t{ "id": "other-key", "type": "promptString", "description": "Other", "password": true },
\t],
\t"servers": {
\t\t"playwright": {
\t\t\t"command": "npx", /* latest on purpose */
\t\t\t"args": ["@playwright/mcp@latest"],
\t\t},
\t},
}
"""

ZED = """\
// Zed settings
//
// For information on how to configure Zed, see the documentation.
{
  "theme": "One Dark", // at night
  "vim_mode": true,
  "context_servers": {},
  "languages": {
    "Python": { "tab_size": 4, },
  }, // the last one
}
"""

COMMENT_AT_THE_END = """\
{
  "mcpServers": {
    "a": { "command": "a" } // the only one
    // "b": { "command": "b" }
  }
}
"""

OURS_AND_MORE = """\
{
  "mcpServers": {
    "evolink": {
      "command": "/old/place/evolink-mcp",
      "args": ["--sandbox"],
      "disabled": false,
      "env": {
        // mine
        "EVOLINK_API_KEY": "sk-mine",
        "EVOLINK_OUTPUT_DIR": "/home/a/pictures"
      },
      "autoApprove": ["check_task"]
    },
    "z": { "url": "http://127.0.0.1:1/sse" }
  }
}"""

CODEX = """\
# ~/.codex/config.toml
model = "gpt-5.5"   # the good one
approval_policy = "on-request"

[mcp_servers.docs]
command = "npx"
args = [
  "-y",
  "docs-mcp", # pinned elsewhere
]

[projects."/home/a/b"]
trust_level = "trusted\""""

CODEX_OURS = """\
[mcp_servers.evolink]
command = "/old/place/evolink-mcp"
args = [
  "--sandbox",
]
startup_timeout_sec = 20 # slow disk

[mcp_servers.evolink.env]
# mine
EVOLINK_API_KEY = "sk-mine"

[tui]
theme = "dark"
"""

CODEX_COMMENTS = """\
[mcp_servers.evolink]
command = "/old" # mine
args = ["--sandbox"]
env = { EVOLINK_API_KEY = "sk-mine" } # here
"""

# name: (client, bytes). Where the file holds our entry already, values in it change; all others are only added to.
FILES: dict[str, tuple[str, bytes]] = {
    "no file": ("cursor", b""),
    "empty": ("windsurf", b"\n  \n"),
    "an empty object": ("gemini-cli", b"{}"),
    "only a comment": ("vscode", b"// nothing yet\n"),
    "other servers": ("claude-desktop", DESKTOP.encode()),
    "one line": ("claude-code", CLAUDE_CODE.encode()),
    "comments and trailing commas": ("vscode", VSCODE.encode()),
    "comments and an empty container": ("zed", ZED.encode()),
    "a comment at the end": ("gemini-cli", COMMENT_AT_THE_END.encode()),
    "a comment that ends a line": ("vscode", b'{"servers": {"a": {"command": "a"} // only\n}}'),
    "CRLF": ("claude-desktop", DESKTOP.replace("\n", "\r\n").encode()),
    "CR": ("claude-desktop", DESKTOP.replace("\n", "\r").encode()),
    "CR and a comment at the end": ("gemini-cli", COMMENT_AT_THE_END.replace("\n", "\r").encode()),
    "CR and a comment that ends a line": ("vscode", b'{"servers": {"a": {"command": "a"} // only\r}}\r'),
    "CR and comments": ("vscode", VSCODE.replace("\n", "\r").encode()),
    "CR and only a comment": ("vscode", b"// nothing yet\r"),
    "a byte order mark": ("cursor", b"\xef\xbb\xbf" + DESKTOP.replace("\n", "\r\n").encode()),
    "no servers yet": ("gemini-cli", b'{\n   "selectedAuthType": "oauth-personal"\n}'),
    "TOML with comments": ("codex", CODEX.encode()),
    "TOML with CRLF": ("codex", CODEX.replace("\n", "\r\n").encode()),
    "TOML, empty": ("codex", b""),
    "TOML, an inline table": ("codex", b'mcp_servers = { a = { command = "a" } } # mine\n'),
}
WITH_OURS: dict[str, tuple[str, bytes]] = {
    "our old entry": ("cursor", OURS_AND_MORE.encode()),
    "our old entry, CRLF": ("windsurf", OURS_AND_MORE.replace("\n", "\r\n").encode()),
    "our old TOML table": ("codex", CODEX_OURS.encode()),
    "our old TOML table, CRLF": ("codex", CODEX_OURS.replace("\n", "\r\n").encode()),
    "our old TOML table, values with comments": ("codex", CODEX_COMMENTS.encode()),
}
# name: (client, bytes, what the refusal says)
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "not JSON": ("cursor", b'{\n  "a": 1\n  "b": 2\n}', "line 3 cannot be read"),
    "cut off": ("cursor", b'{"mcpServers": {', "line 1 cannot be read"),
    "a comment that never ends": ("vscode", b'{"servers": {}} /* ', "line 1 cannot be read"),
    "two values": ("cursor", b"{} {}", "line 1 cannot be read"),
    "a name without a value": ("cursor", b'{"a": 1, "b"}', "line 1 cannot be read"),
    "a name without a colon": ("cursor", b'{"a"= 1}', "line 1 cannot be read"),
    "a list": ("cursor", b"[]", "it is not an object"),
    "a container of another kind": ("cursor", b'{"mcpServers": []}', "not an object"),
    "an entry of another kind": ("cursor", b'{"mcpServers": {"evolink": 1}}', "not an object"),
    "a remote entry of ours": ("cursor", b'{"mcpServers": {"evolink": {"url": "https://x"}}}', "remove it first"),
    "twice": ("cursor", b'{"mcpServers": {"a": {}}, "mcpServers": {}}', "twice"),
    "UTF-16": ("cursor", '{"a": 1}'.encode("utf-16"), "not UTF-8"),
    "deeply nested": ("cursor", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deeply"),
    "broken TOML": ("codex", b"[mcp_servers", "Expected"),
    "dotted keys": ("codex", b'mcp_servers.a.command = "a"\nmodel = "m"\n', "without touching something else"),
}
