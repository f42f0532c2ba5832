"""What the document says of the registry is so: its examples run, and its tables miss no word of the vocabulary."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import get_args

import pytest

import evolink_mcp
from evolink_mcp.registry import DATA, load, shape, spec
from evolink_mcp.registry.reading import read_file
from tests.unit.registry.support import registry

DOCUMENT = (Path(evolink_mcp.__file__).parent.parent / "docs" / "registry.md").read_text(encoding="utf-8")
TABLES = "\n".join(line for line in DOCUMENT.splitlines() if line.startswith("| "))


def test_the_library_example_runs_and_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    exec(compile(code, "registry.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    promised = [comment for comment in re.findall(r"  # (.*)", code) if re.match(r"(n|size): ", comment)]
    assert printed == promised


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL))
def test_a_models_file_of_the_document_adds_its_model(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    found = load(path)
    assert found.overlay_problems == []
    assert len(found.models) == len(registry().models) + 1


@pytest.mark.parametrize(
    "words",
    [
        shape.Model.__annotations__,
        shape.Parameter.__annotations__,
        get_args(spec.ValueType),
        get_args(spec.Status),
        get_args(spec.SpellingShape),
        get_args(spec.LinkForm),
        get_args(spec.RuleKind),
        registry().sources,
    ],
)
def test_no_word_of_the_vocabulary_is_left_out(words: Collection[str]) -> None:
    assert {word for word in words if f"`{word}`" not in TABLES} == set()


def test_holds_are_told_as_they_are() -> None:
    sources = read_file(DATA / "common.toml")["sources"]
    told = dict(
        re.findall(
            r"^\| (`S.*?|`docs.*?|`older docs`|`overlay`) \| .* \| (refused|sent, with a note) \|$", DOCUMENT, re.M
        )
    )
    for cell, broken in told.items():
        for source in re.findall(r"`([^`]+)`", cell):
            assert sources[source][0] == ("refuse" if broken == "refused" else "warn")
    assert sum(len(re.findall(r"`([^`]+)`", cell)) for cell in told) == len(registry().sources)
