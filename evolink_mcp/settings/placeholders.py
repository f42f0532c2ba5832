"""Placeholders that a client, a shell or a template was to fill in, and did not.

Variables of one's own user (``$HOME``, ``%USERPROFILE%``, ``${userHome}``) are filled in here. Nobody but the client
knows the others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

# A name in the spellings of shells, editors, Kubernetes, PowerShell, templates and Windows.
SPELLINGS = re.compile(
    r"\$\{(?P<braces>[^{}]*)\}"
    r"|\$\{\{(?P<workflow>[^{}]*)\}\}"
    r"|\$\((?P<parentheses>[\w.:-]+)\)"
    r"|\$env:(?P<powershell>\w+)"
    r"|\$(?P<shell>[A-Za-z_]\w*)"
    r"|\{\{(?P<template>[^{}]*)\}\}"
    r"|%(?P<windows>[A-Za-z_][\w()]*)%",
    re.IGNORECASE,
)
# Whole values only: words of build tools, links into a password manager, texts that stand for a value in documents, and
# what programs write where they have none.
STAND_INS = re.compile(
    r"undefined|null|none|nil|<[^<>]*>|\[[^\[\]]*\]|(?:enter|insert|put|replace)?[-_ ]*(?:with[-_ ])?your[-_ ].*"
    r"|@[\w.-]+@|__\w+__|\{[\w.: -]+\}|!secret .+|ENC\[.*\]"
    r"|(?:op|vault|bao|bws|pass|keyring|secret|secrets|doppler|infisical|env|ssm|aws-?sm|gcp-?sm|azkv|ref\+\w+)://.+"
    r"|(?:sk-)?(?:\.{3,}|…|x{3,}|\*{3,})|change[-_ ]?me|replace[-_ ]?me",
    re.IGNORECASE,
)
BRACES = re.compile(r"\$\{[^{}]*\}|\$?\{\{[^{}]*\}\}")
QUOTES = "\"'`“”„‘’«»"
HOME_NAMES = frozenset({"home", "userprofile", "userhome"})
USER_NAMES = frozenset(
    "appdata localappdata programdata homedrive homepath onedrive user username logname temp tmp tmpdir xdg_data_home "
    "xdg_config_home xdg_state_home xdg_cache_home xdg_pictures_dir xdg_videos_dir xdg_download_dir".split()
)
SEPARATOR_NAMES = frozenset({"/", "pathseparator"})  # of editors


class Unfilled(ValueError):
    """A value holds a placeholder that was not filled in, so it counts as not set.

    ``whole``: it holds nothing else, so the client had no value at all.
    """

    def __init__(self, placeholder: str, *, whole: bool = False) -> None:
        super().__init__(f"holds {placeholder[:60]!r}, which was not filled in.")
        self.whole = whole


def stand_in(value: str) -> str:
    """``value`` itself where all of it only stands for one (``${X}``, ``<your key>``, ``undefined``), else ""."""
    text = value.strip().strip(QUOTES).strip()
    return value if SPELLINGS.fullmatch(text) or STAND_INS.fullmatch(text) else ""


def unfilled(value: str) -> str:
    """The first placeholder in ``value``, or all of a value that only stands for one; "" where there is none."""
    match = SPELLINGS.search(value)
    return stand_in(value) or (match[0] if match else "")


def unfilled_secret(value: str) -> str:
    """As :func:`unfilled`, for values in which a dollar or percent sign alone may be part of a secret."""
    match = BRACES.search(value)
    return stand_in(value) or (match[0] if match else "")


def fill_in(value: str, environ: Mapping[str, str], home: Path | None) -> str:
    """``value`` with the variables of one's own user filled in. All others stay as they are."""

    def replace(match: re.Match[str]) -> str:
        name = next(group for group in match.groups() if group is not None).strip()
        key = name.removeprefix("env:").lower()
        if key in SEPARATOR_NAMES:
            return os.sep
        if key in HOME_NAMES:
            return str(home) if home is not None else match[0]
        return (_value_of(key, environ) if key in USER_NAMES else "") or match[0]

    return SPELLINGS.sub(replace, value)


def _value_of(key: str, environ: Mapping[str, str]) -> str:
    return next((value for name, value in environ.items() if name.lower() == key), "")
