"""The index of the skills, made of their files: front matter as JSON, and the digest of every file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml

from evolink_mcp import skills
from evolink_mcp.registry.recipes import recipes

FOLDER = Path(skills.__file__).parent
RECIPES = FOLDER / "evolink-media" / "recipes.md"


def index() -> list[dict[str, Any]]:
    """Each skill as ``skills/list`` tells it (SEP-2640)."""
    return [_entry(path.parent) for path in sorted(FOLDER.glob("*/SKILL.md"))]


def _entry(folder: Path) -> dict[str, Any]:
    text = (folder / "SKILL.md").read_text(encoding="utf-8")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        "uri": f"{skills.SCHEME}{folder.name}/SKILL.md",
        "frontmatter": yaml.safe_load(text.split("---\n")[1]),
        "resources": [_file(folder, path.relative_to(folder).as_posix()) for path in files],
    }


def _file(folder: Path, name: str) -> dict[str, Any]:
    content = (folder / name).read_text(encoding="utf-8").encode()
    digest = hashlib.sha256(content).hexdigest()
    return {"uri": f"{skills.SCHEME}{folder.name}/{name}", "digest": f"sha256:{digest}", "size": len(content)}


def recipes_page() -> str:
    """The registry's recipes, as a file of the skill."""
    lines = ["# Recipes", "", "Made by `make generated` from the registry's data; do not edit by hand."]
    for recipe in recipes():
        lines += ["", f"## {recipe.title}", "", f'Models: `list_models(query="{recipe.title.lower()}")`.', ""]
        lines += [f"{number}. {step}" for number, step in enumerate(recipe.steps, 1)]
        lines += ["", *(f"- `{name}`: {fact}" for name, fact in recipe.facts.items())] if recipe.facts else []
    return "\n".join(lines) + "\n"
