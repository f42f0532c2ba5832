"""Checks what is configured, what is reachable and what is wrong, and says what to do about it.

The checks leave no file or object behind, ask the gateway only what is free, and end within ten seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from evolink_mcp.doctor import keeping, local, network, surroundings
from evolink_mcp.doctor.configured import configured, settings_of
from evolink_mcp.doctor.report import Check, Report
from evolink_mcp.errors import EvolinkError, SettingsError
from evolink_mcp.settings import Settings, read_settings
from evolink_mcp.settings.table import VARIABLES


def examine(client: str | None = None, environ: Mapping[str, str] | None = None) -> Report:
    """Runs every check.

    Args:
        client: Look through the settings that this client's entry gives the
            server, instead of those of this process alone.
    """
    env = dict(os.environ if environ is None else environ)
    checks = list(local.versions())
    entry: dict[str, str] = {}
    if client is not None:
        try:
            entry = settings_of(client)
        except EvolinkError as error:
            checks.append(Check("client", "wrong", error.what, error.next_step))
    env |= entry
    checks += local.variables(env, entry, client)
    checks += _by_settings(env)
    checks += local.extras()
    checks += configured()
    return Report(checks, [env.get(variable.name, "").strip() for variable in VARIABLES if variable.secret])


def _by_settings(env: Mapping[str, str]) -> Iterator[Check]:
    try:
        settings = read_settings(env)
    except SettingsError as error:
        for problem in error.problems:
            yield Check("settings", "wrong", problem, error.next_step)
        return
    yield from local.ignored(settings)
    yield local.key(settings)
    yield from local.folders(settings)
    yield from local.models(settings)
    yield local.history(settings)
    bucket = keeping.begin(settings)  # meanwhile the gateway is asked
    yield from _gateway(settings, env)
    yield from bucket()


def _gateway(settings: Settings, env: Mapping[str, str]) -> Iterator[Check]:
    if settings.sandbox:
        yield Check("gateway", "ok", "the built-in sandbox is used; EvoLink itself was not asked")
        return
    yield from surroundings.proxy_checks(env)
    trust = list(surroundings.certificate_checks(env))
    yield from trust
    if all(check.level != "wrong" for check in trust):
        yield from network.ask(settings)
