"""What is said of the server wherever it is listed. The one place for names that a publisher owns."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DESCRIPTION: str = PROJECT["description"]
KEYWORDS: list[str] = PROJECT["keywords"]
LICENSE: str = PROJECT["license"]
PYTHON: str = PROJECT["requires-python"]
TITLE = "EvoLink media"
AUTHOR = {"name": "The evolink-mcp authors"}
# A registry takes this name only from who can prove to own the namespace: whoever publishes puts theirs here.
REGISTRY_NAME = "io.github.evolink-mcp/evolink-mcp"
WEBSITE = "https://evolink.ai"
# What a running server contacts. Results lie on hosts that the gateway names.
HOSTS = ["api.evolink.ai", "files-api.evolink.ai", "files.evolink.ai"]
LONG_DESCRIPTION = (
    "Lets an agent make images and videos through the EvoLink gateway. Every argument is checked against what the "
    "model takes before money is spent, a paid request is sent once, waiting shows progress, and results are saved "
    "into a folder of yours before their links die."
)
EXAMPLE_HOST = "media.example.com"  # where somebody might run the server for others
