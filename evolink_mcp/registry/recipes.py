"""Recipes: jobs that take more than one parameter, told once. They are data (``data/recipes.toml``)."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Any

from evolink_mcp.registry.measures import holds
from evolink_mcp.registry.spec import Model
from evolink_mcp.registry.traits import Traits
from evolink_mcp.registry.wishes import tokens

PATH = Path(__file__).parent / "data" / "recipes.toml"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A job and its steps. ``ways`` are the capabilities, traits or parameters that it takes, best first; ``facts`` say
    what holds for one model."""

    id: str
    title: str
    ways: tuple[str, ...]
    steps: tuple[str, ...]
    facts: dict[str, str] = field(default_factory=dict[str, str])


@cache
def recipes() -> tuple[Recipe, ...]:
    """All recipes, in the order of the file."""
    raw: dict[str, Any] = tomllib.loads(PATH.read_text(encoding="utf-8"))
    return tuple(
        Recipe(name, row["title"], tuple(row["for"].split(" | ")), tuple(row["steps"]), dict(row["facts"]))
        for name, row in raw.items()
    )


def nearest_recipe(job: str) -> Recipe:
    """The recipe whose id or title is most like a job in words."""
    words = f" {' '.join(tokens(job))} "

    def likeness_to(recipe: Recipe) -> float:
        own = tokens(f"{recipe.id} {recipe.title}")
        return sum(f" {word} " in words for word in own) / len(own) + SequenceMatcher(None, job[:80], recipe.id).ratio()

    return max(recipes(), key=likeness_to)


def of_model(model: Model) -> Iterator[tuple[str, str]]:
    """The title of every recipe that a model serves, and what is known of this model or else of all."""
    for recipe in recipes():
        if model.id in recipe.facts:
            yield recipe.title, recipe.facts[model.id]
        elif holds(recipe.ways[0], Traits(model)):
            yield recipe.title, " ".join(recipe.steps)
