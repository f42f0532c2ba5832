"""A user's own models: they add, change and replace, and a fault among them never takes the built-in models down."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolink_mcp.registry import load
from tests.unit.registry.support import LINK, MINE, Overlay, built_in_models_work, outcome, refused, registry

P: dict[str, object] = {"prompt": "A fox"}


def test_without_an_overlay_there_is_nothing_to_report() -> None:
    assert load().overlay_problems == []
    assert load().models is load().models


def test_five_lines_add_a_model(overlay: Overlay) -> None:
    found = overlay(MINE)
    assert found.overlay_problems == []
    assert found.names()[-1] == "mine"
    assert found.check("image", "mine", P).problems == ()
    (problem,) = found.check("image", "mine", {"prompt": "x" * 11}).problems
    assert problem.source == "overlay"
    assert "callback_url" in found.models["mine"].parameters
    assert registry().get("mine") is None


@pytest.mark.parametrize(("text", "name"), [(MINE, "models.toml"), ("{}", "models.json")])
def test_a_byte_order_mark_is_no_part_of_the_file(overlay: Overlay, text: str, name: str) -> None:
    assert overlay(f"\ufeff{text}", name).overlay_problems == []


def test_json_says_the_same(overlay: Overlay) -> None:
    table: dict[str, Any] = {
        "model": {
            "mine": {
                **{"kind": "image", "provider": "Me", "description": "Mine.", "example": {"prompt": "A"}},
                "parameters": {"prompt": {"type": "string", "required": True}},
            }
        }
    }
    found = overlay(json.dumps(table), "models.json")
    assert found.overlay_problems == []
    assert found.check("image", "mine", {}).problems


def test_a_model_can_lean_on_a_built_in_one_and_on_another_of_the_file(overlay: Overlay) -> None:
    found = overlay(
        """
        [model.second]
        like = 'first'
        description = 'The second.'
        [model.first]
        like = 'gpt-image-2'
        description = 'The first.'
        aliases = ['premier']
        [model.first.parameters]
        n = { range = [1, 2] }
        seed = 'seed'
        mask_url = false
        """
    )
    assert found.overlay_problems == []
    for name in ("first", "second"):
        assert refused(found.check("image", name, P | {"n": 3}), "n")
        assert refused(found.check("image", name, P | {"mask_url": LINK}), "mask_url")
        assert not found.check("image", name, P | {"seed": 3, "size": "1:3"}).problems
    assert found.check("image", "first", P | {"n": 3}).problems[0].source == "overlay"
    assert found.get("premier") is found.models["first"]
    assert found.models["second"].aliases == ()
    assert found.models["second"].description == "The second."


def test_a_model_can_bring_its_own_spellings(overlay: Overlay) -> None:
    found = overlay(MINE.replace("kind =", "spellings = { words = { to = 'prompt' } }\nkind ="))
    checked = found.check("image", "mine", {"words": "A fox"})
    assert (checked.params, checked.problems) == (P, ())
    assert "mine calls it prompt" in checked.notes[0]


def test_a_built_in_model_can_be_changed(overlay: Overlay) -> None:
    found = overlay("[model.gpt-image-2.parameters]\nn = { range = [1, 20] }\n")
    assert found.overlay_problems == []
    assert not found.check("image", "gpt-image-2", P | {"n": 20}).problems
    assert refused(found.check("image", "gpt-image-2", P | {"size": "1:4"}), "size")
    assert len(found.models) == len(registry().models)
    assert refused(registry().check("image", "gpt-image-2", P | {"n": 20}), "n")


def test_a_built_in_model_can_be_replaced(overlay: Overlay) -> None:
    found = overlay(MINE.replace("model.mine", "model.gpt-image-2").replace("kind", "replace = true\nkind"))
    assert found.overlay_problems == []
    assert set(found.models["gpt-image-2"].parameters) == {"prompt", "callback_url"}
    assert found.get("gpt-image-2") is not registry().get("gpt-image-2")


def test_the_file_can_bring_its_own_lists_sources_rules_and_shared_parameters(overlay: Overlay) -> None:
    found = overlay(
        f"""
        [sources]
        "my notes" = ["warn", "what I found out"]
        [lists]
        moods = ["calm", "wild"]
        [rules]
        calm-is-free = {{ rule = "advise", when = {{ mood = "calm" }}, source = "my notes", message = "calm is free" }}
        [shared]
        mood = {{ type = "string", allowed = "moods", source = "my notes" }}
        seed = {{ type = "integer", range = [0, 9] }}
        [defaults]
        source = "my notes"
        {MINE.replace("required = true", "required = true, hold = 'refuse'")}
        mood = "mood"
        seed = "seed"
        [model.mine2]
        like = "mine"
        description = "Mine too."
        rules = ["calm-is-free"]
        """
    )
    assert found.overlay_problems == []
    assert found.check("image", "mine", P | {"mood": "calm"}).notes == ()
    assert outcome(found.check("image", "mine", P | {"mood": "sad"}), "mood") == "noted"
    assert outcome(found.check("image", "mine2", P | {"mood": "calm"}), "mood") == "noted"
    assert outcome(found.check("image", "mine", P | {"seed": 10}), "seed") == "noted"
    assert found.sources["my notes"] == "what I found out"


def test_a_bad_change_leaves_the_built_in_model_as_it_was(overlay: Overlay) -> None:
    found = overlay(
        "[model.gpt-image-2]\naliases = ['veo3']\n[model.gpt-image-2.parameters]\nn = { range = [1, 20] }\n"
    )
    assert "is the name of veo3" in found.overlay_problems[0]
    assert refused(found.check("image", "gpt-image-2", P | {"n": 20}), "n")
    assert found.get("veo3") is registry().get("veo3")


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("[model\n", "models.toml", "line 1"),
        ("[model.a]\nkind = \n", "models.toml", "line 2"),
        ('{"model": \n}', "models.json", "line 2"),
        ("[]", "models.json", "the file: must be a table"),
        ("[modle.a]\nkind = 'image'\n", "models.toml", "modle: unknown key; did you mean model?"),
        ("model = 5", "models.toml", "model: must be a table"),
        ("[sources]\nmine = 'warn'\n", "models.toml", "sources.mine: must be a list"),
        ("[sources]\nmine = ['warn']\n", "models.toml", "sources.mine: has too few items"),
        ("[sources]\nmine = ['perhaps', 'x']\n", "models.toml", "sources.mine: 'perhaps' is not one of"),
        ("[spellings]\nx = { to = 5 }\n", "models.toml", "spellings.x.to: must be a text"),
        ("[model]\na = 5\n", "models.toml", "model.a"),
    ],
)
def test_a_bad_file_is_reported_and_the_built_in_models_keep_working(
    overlay: Overlay, text: str, name: str, expected: str
) -> None:
    found = overlay(text, name, allow_unlisted=True)
    assert len(found.overlay_problems) == 1
    assert name in found.overlay_problems[0]
    assert expected in found.overlay_problems[0]
    assert found.names() == registry().names()
    assert found.allow_unlisted
    assert built_in_models_work(found)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "nowhere.toml", "cannot be read"), (tmp_path, "is not an ordinary file")):
        (problem,) = load(path).overlay_problems
        assert why in problem


def test_a_file_that_is_not_text_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_bytes(b"\xff\xfe\x00")
    (problem,) = load(path).overlay_problems
    assert "cannot be read" in problem


def test_models_that_lean_on_each_other_are_reported(overlay: Overlay) -> None:
    found = overlay("[model.a]\nlike = 'b'\n[model.b]\nlike = 'a'\n[shared]\nx = 'y'\ny = 'x'\n")
    assert len(found.overlay_problems) == 2
    found = overlay("[shared]\nx = 'y'\ny = 'x'\n" + MINE + "x = 'x'\n")
    assert "no shared parameter 'x'" in found.overlay_problems[0]


def test_a_model_described_wrongly_twice_in_one_family_only_loses_itself(overlay: Overlay) -> None:
    found = overlay("[model.child]\nlike = 'parent'\ndescription = 'Child.'\n[model.parent]\nkind = 'image'\n")
    assert len(found.overlay_problems) == 2
    assert found.names() == registry().names()


SCRAPS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
SECTION_NAMES = (
    "sources capabilities lists order common closed hints spellings shared rules default_models defaults".split()
)
MODEL_FIELDS = "like replace kind endpoint provider description rules example parameters aliases source open".split()


@settings(derandomize=True, deadline=None, max_examples=80, database=None)
@given(
    st.fixed_dictionaries(
        {
            "model": st.dictionaries(
                st.sampled_from(["mine", "gpt-image-2"]),
                st.dictionaries(st.sampled_from(MODEL_FIELDS), SCRAPS) | SCRAPS,
            )
        },
        optional=dict.fromkeys(SECTION_NAMES, SCRAPS),
    )
)
def test_no_overlay_raises(tmp_path_factory: pytest.TempPathFactory, table: dict[str, object]) -> None:
    path = tmp_path_factory.mktemp("overlay") / "models.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    found = load(path)
    assert set(registry().models) <= set(found.models)
    assert found.check("video", "seedance-1.5-pro", P).problems == ()
    found.search(query="fox")


@pytest.mark.parametrize("section", ["capabilities", "hints", "order", "default_models"])
def test_a_shared_row_of_the_wrong_shape_is_named(section: str, overlay: Overlay) -> None:
    found = overlay(f"[{section}]\nimage = 7\n")
    assert any(f"{section}.image" in problem for problem in found.overlay_problems)
    assert found.search(query="fox") == registry().search(query="fox")
