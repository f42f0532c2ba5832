"""What registries, bundles and plugin catalogues want to know."""

from __future__ import annotations

import re
from typing import Any

import anyio

from evolink_mcp import __version__
from evolink_mcp.card import BESIDE
from evolink_mcp.errors import KEYS_PAGE
from evolink_mcp.install.entries import NAME
from evolink_mcp.install.launch import PACKAGE
from evolink_mcp.server import create_server
from evolink_mcp.settings import Settings
from evolink_mcp.settings.table import API_KEY, OUTPUT_DIR, Variable, for_clients
from evolink_mcp.tools.app import App
from manifests import facts

SERVER_SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
KEY_HELP = f"Your EvoLink API key. Keys are made at {KEYS_PAGE}."


def server_json() -> dict[str, Any]:
    """For the MCP registry: the package, and templates for a server that runs elsewhere."""
    return {
        "$schema": SERVER_SCHEMA,
        "name": facts.REGISTRY_NAME,
        "title": facts.TITLE,
        "description": facts.DESCRIPTION,
        "version": __version__,
        "websiteUrl": facts.WEBSITE,
        "packages": [
            {
                "registryType": "pypi",
                "identifier": PACKAGE,
                "version": __version__,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "environmentVariables": [_variable(variable) for variable in for_clients()],
            }
        ],
        "remotes": [_remote("streamable-http", "mcp"), _remote("sse", "sse")],
    }


def _variable(variable: Variable) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": variable.name,
        "description": KEY_HELP if variable.name == API_KEY else variable.plain,
        "format": "filepath" if variable.is_file else "string",
        "isRequired": variable.name == API_KEY,
        "isSecret": variable.secret,
    }
    if variable.default:
        entry["default"] = variable.default
    if variable.choices:
        entry["choices"] = list(variable.choices)
    return entry


def _remote(transport: str, path: str) -> dict[str, Any]:
    return {
        "type": transport,
        "url": f"https://{{host}}/{path}",
        "variables": {
            "host": {
                "description": "The host that runs evolink-mcp http",
                "isRequired": True,
                "placeholder": facts.EXAMPLE_HOST,
            }
        },
        "headers": [
            {
                "name": "Authorization",
                "description": "The key that the server asks for, as a bearer token",
                "value": "Bearer {key}",
                "isRequired": True,
                "isSecret": True,
                "variables": {"key": {"description": KEY_HELP, "isRequired": True, "isSecret": True}},
            }
        ],
    }


def mcpb_manifest() -> dict[str, Any]:
    """For Claude Desktop's bundles. uv fetches the dependencies, so one bundle serves every system."""
    return {
        "manifest_version": "0.4",
        "name": PACKAGE,
        "display_name": facts.TITLE,
        "version": __version__,
        "description": facts.DESCRIPTION,
        "long_description": facts.LONG_DESCRIPTION,
        "author": facts.AUTHOR,
        "homepage": facts.WEBSITE,
        "license": facts.LICENSE,
        "keywords": facts.KEYWORDS,
        "server": {
            "type": "uv",
            "entry_point": "evolink_mcp/__main__.py",
            "mcp_config": {
                "command": "uv",
                # Only a list of arguments can take several folders.
                "args": [
                    "run",
                    "--directory",
                    "${__dirname}",
                    PACKAGE,
                    "stdio",
                    "--upload-dirs",
                    "${user_config.upload_folders}",
                ],
                "env": {API_KEY: "${user_config.api_key}", OUTPUT_DIR: "${user_config.output_folder}"},
            },
        },
        "tools": [{"name": name, "description": description} for name, description in tools()],
        "prompts_generated": True,
        "compatibility": {"platforms": ["darwin", "linux", "win32"], "runtimes": {"python": facts.PYTHON}},
        "user_config": {
            "api_key": {
                "type": "string",
                "title": "EvoLink API key",
                "description": KEY_HELP,
                "sensitive": True,
                "required": True,
            },
            "output_folder": {
                "type": "directory",
                "title": "Output folder",
                "description": "Where finished images and videos are saved. Without it they are only linked.",
                "required": False,
            },
            "upload_folders": {
                "type": "directory",
                "title": "Upload folders",
                "description": "Folders whose files the agent may upload. Without any, it is the output folder.",
                "multiple": True,
                "required": False,
                "default": [],
            },
        },
    }


def tools() -> list[tuple[str, str]]:
    """Every tool's name, and the first sentence of its description."""
    listed = anyio.run(create_server(App(Settings())).list_tools)
    offered = [tool for tool in listed if tool.name not in BESIDE]
    return [(tool.name, re.split(r"(?<=\.)\s", tool.description or "")[0]) for tool in offered]


def plugin_json() -> dict[str, Any]:
    """For Claude Code: the server, started from the plugin's own folder, and the skill."""
    return {
        "name": NAME,
        "version": __version__,
        "description": facts.DESCRIPTION,
        "author": facts.AUTHOR,
        "homepage": facts.WEBSITE,
        "license": facts.LICENSE,
        "keywords": facts.KEYWORDS,
        "skills": "./evolink_mcp/skills/",
        "mcpServers": {
            NAME: {
                "command": "uvx",
                "args": ["--from", "${CLAUDE_PLUGIN_ROOT}", PACKAGE],
                "env": {API_KEY: "${user_config.api_key}", OUTPUT_DIR: "${user_config.output_folder}"},
            }
        },
        "userConfig": {
            "api_key": {
                "type": "string",
                "title": "EvoLink API key",
                "description": KEY_HELP,
                "sensitive": True,
            },
            "output_folder": {
                "type": "directory",
                "title": "Output folder",
                "description": "Where finished images and videos are saved. Without it they are only linked.",
            },
        },
        "network": {"hosts": facts.HOSTS},
    }


def marketplace_json() -> dict[str, Any]:
    """Lets a checkout of this repository be added as a marketplace of one plugin."""
    return {
        "name": PACKAGE,
        "description": facts.DESCRIPTION,
        "owner": facts.AUTHOR,
        "plugins": [{"name": NAME, "source": "./", "description": facts.DESCRIPTION, "version": __version__}],
    }
