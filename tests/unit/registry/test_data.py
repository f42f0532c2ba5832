"""The built-in data files: whole, consistent, and written in the closed vocabulary."""

import re
from pathlib import Path

import pytest

from evolink_mcp.registry import DATA, DataError
from evolink_mcp.registry.build import Builder, Models
from evolink_mcp.registry.overlay import faults
from evolink_mcp.registry.reading import read_files
from tests.unit.registry.support import callable_models, model, registry

FILES = sorted(DATA.glob("*.toml"))


@pytest.mark.parametrize("name", list(registry().models))
def test_a_model_has_no_fault(name: str) -> None:
    assert faults(registry(), name) == []


def test_files_are_grouped_by_kind_and_family() -> None:
    names = [path.stem for path in FILES]
    assert names[0] == "common"
    assert all(re.fullmatch(r"(image|video)-[a-z]+", name) for name in names[1:])
    for path in FILES[1:]:
        endpoint, _, family = path.stem.partition("-")
        tables = read_files([DATA / "common.toml", path])
        assert tables.models
        models = [model(name) for name in tables.models]
        assert {one.endpoint for one in models} == {endpoint}
        assert {one.provider.lower() for one in models} == {family}


@pytest.mark.parametrize("name", callable_models())
def test_defaults_are_values_the_model_takes(name: str) -> None:
    for parameter in model(name).parameters.values():
        if parameter.default is not None:
            call = dict(model(name).example) | {parameter.name: parameter.default}
            checked = registry().check(model(name).endpoint, name, call)
            assert not [problem for problem in checked.problems if "is not allowed" in problem.message]


@pytest.mark.parametrize("name", callable_models())
def test_every_model_takes_a_callback(name: str) -> None:
    assert model(name).parameters["callback_url"].callback


def test_every_shared_parameter_and_rule_is_used() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
    tables = read_files(FILES)
    for name in [*tables.section("shared"), *tables.section("rules"), *tables.section("lists")]:
        assert len(re.findall(rf"['\"]{re.escape(name)}['\"]", text)) >= 1, name


def test_the_order_names_models_that_are_there() -> None:
    tables = read_files(FILES)
    ordered = [name for names in tables.section("order").values() for name in names]
    assert set(ordered) <= set(tables.models)
    assert len(ordered) == len(set(ordered))


def test_a_source_with_seeds_refuses_and_one_of_tables_or_prose_warns() -> None:
    builder = Builder(read_files(FILES))
    for source, hold in [("S3", "refuse"), ("docs", "refuse"), ("docs-prose", "warn"), ("older docs", "warn")]:
        parameter = builder.parameter("x", {"type": "string", "source": source}, "docs", "", "x")
        assert parameter.hold == hold
    both = builder.parameter("x", {"type": "string", "source": "docs-prose, S2"}, "docs", "", "x")
    assert both.hold == "refuse"


def test_no_limit_of_prose_tables_or_older_pages_alone_is_refused() -> None:
    weak = {"docs-prose", "older docs", "S1-table", "S2-table"}
    for name in callable_models():
        for parameter in model(name).parameters.values():
            sources = {*parameter.source.split(", ")}
            # Refused all the same: what a page's text and the reference's table both rule out, and what no page lists.
            if sources <= weak and parameter.hold == "refuse":
                assert len(sources) == 2 or parameter.caution, (name, parameter.name)
            if parameter.unit == "tokens":
                assert parameter.held("length")[0] == "warn"


def test_a_model_described_twice_is_an_error(tmp_path: Path) -> None:
    text = "[model.a]\nkind = 'image'\nprovider = 'x'\ndescription = 'x'\n"
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"model.a: is described twice"):
        read_files(sorted(tmp_path.glob("*.toml")))


def test_models_are_built_when_they_are_asked_for() -> None:
    models = Models(read_files(FILES))
    assert len(models) == len(registry().models)
    assert models["gpt-image-2"] is models["gpt-image-2"]
    assert "nobody" not in models
    with pytest.raises(KeyError):
        models["nobody"]
