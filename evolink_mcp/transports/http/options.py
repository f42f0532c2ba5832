"""What the operator decides about HTTP, and what cannot be served safely."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from evolink_mcp.errors import Refused, SettingsError
from evolink_mcp.jobs.limits import CreditLimits
from evolink_mcp.settings import Settings, is_loopback
from evolink_mcp.settings.places import Bucket
from evolink_mcp.settings.readers import without_login
from evolink_mcp.transports.http.paths import CALLBACKS, prefix_of

Auth = Literal["passthrough", "token", "oauth", "none"]
AUTHS: tuple[Auth, ...] = get_args(Auth)

MAX_CALLBACK_CHARACTERS = 1900  # the gateway takes 2048 (S4), a name of ours included
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:\d{1,5})?")
_WEB_ORIGIN = re.compile(r"(?i)https?://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?/?")
# Of an extension or a desktop app: chrome-extension://id, vscode-webview://*, tauri://localhost, app://-, file://
_APP_ORIGIN = re.compile(r"(?i)(?!https?:)[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\*)?(:\d{1,5})?/?|null")
_DEFAULT_PORT = re.compile(r"^(http://.+):80$|^(https://.+):443$")


# The tokens that the documentation shows.
EXAMPLES = frozenset(sha256(text.encode()).hexdigest() for text in ("a-long-random-text", "another-long-text"))


@dataclass(frozen=True)
class HttpOptions:
    """How the HTTP application is reached, by whom, and how much of it.

    ``allow_hosts`` are names (any port) or name:port; ``allow_origins`` are
    scheme://name or scheme://name:port, as browsers send them, the schemes of
    extensions and desktop apps too. Loopback names are always allowed hosts, and
    allowed origins where the server is bound to loopback. ``root_path`` is the
    prefix that a proxy in front serves this under. Limits of 0 are none;
    credits are limited for each caller, and for all callers together.
    ``public_url`` is how clients write this server's address, without an endpoint: its
    name is an allowed host, its path the prefix. ``callback_url`` is how the gateway reaches
    ``/callbacks``, or "" where it cannot. ``open_lists``: what costs nothing is
    answered before signing in. ``workers``: how many processes serve; the limits of
    connections hold for each. ``keep_dir``: where results are kept, in place of what the
    environment names. ``json_lines``: how logs are written.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    auth: Auth = "passthrough"
    sse: bool = True
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    forwarded_allow_ips: str = "127.0.0.1"
    root_path: str = ""
    public_url: str = ""
    callback_url: str = ""
    open_lists: bool = False
    keep_dir: Path | Bucket | None = None
    calls_per_minute: int = 120
    waits_per_caller: int = 32
    sse_connections: int = 200
    connections: int = 1000
    workers: int = 1
    json_lines: bool = True
    stop_seconds: float = 8.0
    max_credits_per_call: float | None = None
    max_credits_per_day: float | None = None
    max_credits_per_day_in_all: float | None = None

    @property
    def on_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def origins(self) -> list[str]:
        """The allowed origins as browsers send them: without a slash at the end or the scheme's own port."""
        bare = (each.removesuffix("/") if _WEB_ORIGIN.fullmatch(each) else each for each in self.allow_origins)
        return [_DEFAULT_PORT.sub(r"\1\2", each) for each in bare]

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names this server is known under, beside those of loopback."""
        public = urlsplit(self.public_url).netloc.lower()
        return (*self.allow_hosts, *([public] if public else []))

    @property
    def prefix(self) -> str:
        """The path below which a proxy serves this."""
        return prefix_of(self.root_path) or prefix_of(urlsplit(self.public_url).path)

    def complete(self, settings: Settings) -> HttpOptions:
        """These options, with the environment's where nothing was said."""
        return replace(self, callback_url=(self.callback_url or settings.callback_url or "").rstrip("/"))

    def credit_limits(self, settings: Settings) -> CreditLimits:
        """What each caller may spend, by these options or else by the environment, and all of them together."""
        per_call = self.max_credits_per_call or settings.max_credits_per_call
        per_day = self.max_credits_per_day or settings.max_credits_per_day
        return CreditLimits(per_call, per_day, self.max_credits_per_day_in_all)

    def check(self, settings: Settings) -> None:
        """Says what keeps this from being served.

        Raises:
            SettingsError: With everything that is wrong.
        """
        try:
            problems = self._sign_in_problems(settings)
        except ValueError:  # nothing else can be judged then
            raise SettingsError(["--public-url is no link."]) from None
        problems += self._callback_problems(settings)
        if self.workers > 1 and settings.state_url is None:
            problems.append(
                f"--workers {self.workers} needs EVOLINK_STATE_URL: processes that share no memory could pay for one "
                "request twice, and each would allow a caller all of the limit."
            )
        if self.workers > 1 and os.name == "nt":
            problems.append("--workers needs signals that Windows does not have. Start several servers instead.")
        if self.auth == "none" and not self.on_loopback:
            problems.append(
                f"--auth none would let anyone who reaches {self.host} spend this server's credits; it works on "
                "--host 127.0.0.1 only. Use --auth token or --auth passthrough."
            )
        names = [name for name in self.hosts if not is_loopback(name.rpartition(":")[0] or name)]
        if self.auth == "none" and names:
            problems.append(
                f"--auth none and --allow-host {names[0][:60]} would let anyone behind that name spend this server's "
                "credits. Use --auth token or --auth passthrough."
            )
        if not self.on_loopback and not self.hosts:
            problems.append(
                f"--host {self.host} is reachable from elsewhere, so the names it is reached under have to be listed. "
                "Add: --allow-host your.public.name"
            )
        if self.auth == "token" and not settings.mcp_tokens:
            problems.append("--auth token needs EVOLINK_MCP_TOKENS, as in EVOLINK_MCP_TOKENS=alice:a-long-random-text")
        digests = [token.digest for token in settings.mcp_tokens]
        if len(set(digests)) < len(digests):
            problems.append("EVOLINK_MCP_TOKENS gives one token to two callers, who could not be told apart.")
        if set(digests) & EXAMPLES:
            problems.append("EVOLINK_MCP_TOKENS holds a token of the documentation, which everybody knows.")
        if self.auth in ("token", "oauth") and settings.api_key is None and settings.keys_file is None:
            problems.append(
                f"--auth {self.auth} spends this server's own credits and needs EVOLINK_API_KEY or EVOLINK_KEYS_FILE."
            )
        problems += [
            f"--allow-host takes a name, or name:port, without scheme, path or *; it is {each[:60]!r}."
            for each in self.allow_hosts
            if not _HOST.fullmatch(each)
        ]
        problems += [
            "--allow-origin takes scheme://name, or scheme://name:port, without path, and * as a name only with the "
            f"schemes of extensions and apps; it is {each[:60]!r}."
            for each in self.allow_origins
            if not (_WEB_ORIGIN.fullmatch(each) or _APP_ORIGIN.fullmatch(each))
        ]
        if self.auth == "none" and "null" in self.allow_origins:
            problems.append("--auth none and --allow-origin null would let any web page spend this server's credits.")
        if self.root_path.strip("/") and not prefix_of(self.root_path):
            problems.append(f"--root-path takes a plain path, as in /evolink; it is {self.root_path[:60]!r}.")
        if problems:
            raise SettingsError(problems)

    def doubts(self, settings: Settings) -> list[str]:
        """What can be served and is hardly meant, one sentence each."""
        usual = Settings()
        doubts: list[str] = []
        if settings.base_url != usual.base_url:
            others = {"EVOLINK_FILES_URL": "files_url", "EVOLINK_TEXT_URL": "text_url"}
            same = [name for name, field in others.items() if getattr(settings, field) == getattr(usual, field)]
            if same:
                doubts.append(
                    f"EVOLINK_BASE_URL is set and {' and '.join(same)} not: files or texts go to EvoLink itself."
                )
        if self.auth in ("passthrough", "none") and settings.keys_file is not None:
            doubts.append(f"EVOLINK_KEYS_FILE has no effect with --auth {self.auth}.")
        if self.auth != "oauth" and settings.oauth_issuer is not None:
            doubts.append(f"EVOLINK_OAUTH_ISSUER has no effect with --auth {self.auth}.")
        return doubts

    def _callback_problems(self, settings: Settings) -> list[str]:
        """The gateway calls https addresses of public hosts, of at most 2048 characters (S3, S4); the sandbox this
        machine too."""
        if not self.callback_url:
            return []
        from evolink_mcp.guard.urls import UrlGuard

        problem = ""
        try:
            UrlGuard(settings.allow_loopback).check_spelling(self.callback_url, name="--callback-url")
            parts = urlsplit(self.callback_url)  # raises of what is no link, which is refused above
            if not parts.path.endswith(CALLBACKS) or parts.query or parts.fragment:
                problem = f"--callback-url: it must end in {CALLBACKS}."
        except Refused as refused:
            problem = refused.what
        if not problem and len(self.callback_url) > MAX_CALLBACK_CHARACTERS:
            problem = f"--callback-url: it may have at most {MAX_CALLBACK_CHARACTERS} characters."
        example = "Give the public address of this server's /callbacks, as in https://mcp.example.com/callbacks"
        return [f"{problem} {example}"] if problem else []

    def _sign_in_problems(self, settings: Settings) -> list[str]:
        problems: list[str] = []
        parts = urlsplit(self.public_url)
        secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        if self.public_url and (not secure or parts.query or parts.fragment or "@" in parts.netloc):
            problems.append(
                "--public-url takes the https:// address of this server without /mcp (http:// on this machine only); "
                f"it is {without_login(self.public_url)[:60]!r}."
            )
        if self.auth == "oauth" and not self.public_url:
            problems.append("--auth oauth needs --public-url, as in --public-url https://mcp.example.com")
        if self.auth == "oauth" and settings.oauth_issuer is None:
            problems.append("--auth oauth needs EVOLINK_OAUTH_ISSUER, the address of your identity provider.")
        if self.open_lists and self.auth != "oauth":
            problems.append("--open-lists is for --auth oauth.")
        return problems
