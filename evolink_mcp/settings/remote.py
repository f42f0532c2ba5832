"""The variables of a server for callers elsewhere: who they are, who pays, and what replicas share."""

from __future__ import annotations

from evolink_mcp.settings import readers, stores
from evolink_mcp.settings.readers import one_of
from evolink_mcp.settings.variable import SWITCH, Variable

MAX_KEEP_DAYS = 3650
MAX_KEEP_GB = 1e6

REMOTE = (
    Variable(
        "EVOLINK_MCP_TOKENS",
        "mcp_tokens",
        readers.read_tokens,
        "tokens for `http --auth token`: `alice:a-long-random-text,bob:another-long-text`; names are for metrics and "
        "logs ([docs/remote.md](docs/remote.md))",
        guards=True,
        secret=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_OAUTH_ISSUER",
        "oauth_issuer",
        readers.read_issuer,
        "your identity provider, for `http --auth oauth` ([docs/oauth.md](docs/oauth.md))",
        guards=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_OAUTH_AUDIENCE",
        "oauth_audiences",
        readers.read_words,
        "for whom tokens must be made, several with commas",
        otherwise="the addresses of this server",
        guards=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_OAUTH_SCOPES",
        "oauth_scopes",
        readers.read_words,
        "scopes that a token needs, with commas",
        guards=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_OAUTH_ALLOW",
        "oauth_allow",
        readers.read_conditions,
        "whom to serve, as `claim=value` with commas: `email=*@example.com,groups=film`; of one claim any value does, "
        "of several claims each must fit",
        otherwise="everybody the provider signs in",
        guards=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_OAUTH_CLIENT",
        "oauth_client",
        readers.read_client,
        "`id:secret` of a client at the provider, to ask it about opaque tokens",
        guards=True,
        secret=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_OAUTH_NAME",
        "oauth_name",
        readers.read_text,
        "claim that names people in logs and metrics, such as `email`",
        otherwise="nobody is named",
        remote_only=True,
    ),
    Variable(
        "EVOLINK_KEYS_FILE",
        "keys_file",
        readers.read_path,
        "TOML file with EvoLink keys of people and groups, for `http --auth token` and `oauth` "
        "([docs/oauth.md](docs/oauth.md))",
        otherwise="`EVOLINK_API_KEY` pays for everybody",
        is_file=True,
        guards=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_CALLBACK_URL",
        "callback_url",
        readers.read_text,
        "how the gateway reaches this server's `/callbacks`: results are then told at once; same as `http "
        "--callback-url` ([docs/remote.md](docs/remote.md))",
        otherwise="tasks are polled",
        guards=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_STATE_URL",
        "state_url",
        stores.read_state_url,
        "`redis://host:6379/0` (also `rediss`, `valkey`, `valkeys`): what several replicas remember in common; "
        "needs the `redis` extra ([docs/deploy.md](docs/deploy.md))",
        guards=True,
        secret=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_STATE_STRICT",
        "state_strict",
        one_of(SWITCH, "1", "0"),
        "`1` refuses paid requests while the store of `EVOLINK_STATE_URL` is away; otherwise they go on, and say that "
        "they may repeat one",
        default="0",
        choices=("0", "1"),
        guards=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_KEEP_DIR",
        "keep_dir",
        readers.read_keeping_place,
        "folder, or with the `s3` extra `s3://BUCKET/PREFIX`, where `http` keeps results past the 24 hours of their "
        "links ([docs/remote.md](docs/remote.md))",
        otherwise="not set: results are links of the gateway",
        is_file=True,
        remote_only=True,
    ),
    Variable(
        "EVOLINK_KEEP_DAYS",
        "keep_days",
        readers.amount_of("days", MAX_KEEP_DAYS),
        "for how many days",
        default="30",
        remote_only=True,
    ),
    Variable(
        "EVOLINK_KEEP_GB",
        "keep_gb",
        readers.amount_of("gigabytes", MAX_KEEP_GB),
        "how much of all callers, in gigabytes; the oldest results go first",
        default="50",
        remote_only=True,
    ),
    Variable(
        "EVOLINK_KEEP_GB_EACH",
        "keep_gb_each",
        readers.amount_of("gigabytes", MAX_KEEP_GB),
        "how much of each caller",
        default="5",
        remote_only=True,
    ),
)
