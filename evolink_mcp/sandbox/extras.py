"""What the sandbox needs beyond the base installation."""

from __future__ import annotations

from importlib.util import find_spec

# Import name -> the name to install.
_NEEDED = {"PIL": "pillow", "av": "av"}


def missing_extras() -> list[str]:
    """Names of the packages that rendering needs and that are not installed; empty when all is well."""
    return [package for module, package in _NEEDED.items() if find_spec(module) is None]
