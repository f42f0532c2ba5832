"""A user's own models: they add, change and replace, and a fault among them never takes the built-in models down."""

import json
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolink_mcp.registry import Registry, describe, describe_text, load
from tests.unit.registry.support import LINK, callable_models, outcome, refused, registry

P: dict[str, object] = {"prompt": "A fox"}


class Overlay(Protocol):
    """Loads a registry over a file with this text."""

    def __call__(self, text: str, name: str = "models.toml", *, allow_unlisted: bool = False) -> Registry: ...


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    def make(text: str, name: str = "models.toml", *, allow_unlisted: bool = False) -> Registry:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return load(path, allow_unlisted=allow_unlisted)

    return make


ABOUT = "kind = 'image'\nprovider = 'Me'\ndescription = 'Mine.'\nexample = { prompt = 'A fox' }\n"
MINE = f"""
[model.mine]
{ABOUT}
[model.mine.parameters]
prompt = {{ type = 'string', required = true, length = [1, 10] }}
"""


def built_in_models_work(found: Registry) -> bool:
    names = callable_models()
    return names == [n for n in names if not found.check(found.models[n].endpoint, n, found.models[n].example).problems]


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


BAD_MODELS = [
    ("parameters.prompt = { type = 'strin' }", "model.mine.parameters.prompt.type: 'strin' is not one of:"),
    ("parameters.prompt = { type = 'string', lenght = [1, 2] }", "lenght: unknown key; did you mean length?"),
    ("parameters.prompt = { type = 'string', length = [2, 1] }", "length: must be [low] or [low, high]"),
    ("parameters.prompt = { type = 'string', length = 5 }", "length: must be a list of numbers"),
    ("parameters.prompt = { type = 'string', length = [true] }", "length: must be a list of numbers"),
    ("parameters.prompt = { type = 'string', hold = 'maybe' }", "hold: 'maybe' is not one of"),
    ("parameters.prompt = { type = 'string', source = 'rumour' }", "source: 'rumour' is not one of"),
    ("parameters.prompt = { type = 'string', allowed = 5 }", "allowed: must be a list, or the name of one"),
    ("parameters.prompt = { type = 'string', allowed = 'no-list' }", "allowed: 'no-list' is not one of"),
    ("parameters.prompt = { type = 'string', soft = { lengthy = 'docs' } }", "soft.lengthy: unknown key"),
    ("parameters.prompt = { type = 'string', soft = { length = 'x' } }", "soft.length.source: 'x' is not one of"),
    ("parameters.prompt = { type = 'string', note = 5 }", "note: must be a text"),
    ("parameters.prompt = { type = 'string', any_case = 1 }", "any_case: must be true or false"),
    ("parameters.prompt = { type = 'string', size = { edges = [1] } }", "size.edges: unknown key; did you mean edge?"),
    ("parameters.prompt = { type = 'string', item = { mb = 5 } }", "item.mb: unknown key"),
    ("parameters.prompt = { type = 'string', tolerate = { step = 5 } }", "tolerate.step: unknown key"),
    ("parameters.prompt = { type = 'string', forms = ['ftp'] }", "forms: 'ftp' is not one of"),
    ("parameters.prompt = { type = 'string', required = { if = {} } }", "required.if: unknown key"),
    ("parameters.prompt = { type = 'string', required = { when = { a = { b = 1 } } } }", "when.a.b: unknown test"),
    ("parameters.prompt = { type = 'string', required = { when = { a = { form = 'x' } } } }", "form: must be ratio"),
    ("parameters.prompt = { type = 'object', keys = '(' }", "keys: is no pattern"),
    ("parameters.prompt = { allowed = [1] }", "model.mine.parameters.prompt: has no type"),
    ("parameters.prompt = 'no-such'", "no shared parameter 'no-such'"),
    ("parameters.prompt = { like = 5 }", "parameters.prompt.like: must be the name of a shared parameter"),
    ("parameters.prompt = 5", "model.mine.parameters.prompt: must be a table"),
    ("like = 'nobody'", "model.mine.like: no model 'nobody' to take over from"),
    ("like = 'mine'", "model.mine.like: no model 'mine' to take over from"),
    ("kynd = 'image'", "model.mine.kynd: unknown key; did you mean kind?"),
    ("kind = 'audio'", "model.mine.kind: 'audio' is not one of: asset, image, video"),
    ("status = 'old'", "model.mine.status: 'old' is not one of"),
    ("capabilities = ['flying']", "model.mine.capabilities: 'flying' is not one of"),
    ("capabilities = 'flying'", "model.mine.capabilities: must be a list of texts"),
    ("provider = ''", "model.mine.provider: must be a text"),
    ("beta = 'yes'", "model.mine.beta: must be true or false"),
    ("example = { n = 3 }", "model.mine.example: n: mine has no such parameter"),
    ("example = {}", "model.mine.example: prompt: mine needs a text here"),
    ("aliases = ['gpt-image-2']", "model.mine.aliases: 'gpt-image-2' is the name of gpt-image-2"),
    ("replacements = ['nobody']", "model.mine.replacements: no model 'nobody'"),
    ("rules = ['no-rule']", "model.mine.rules.0: 'no-rule' is not one of"),
    ("rules = [{ rule = 'forbids', message = 'm' }]", "model.mine.rules.0.rule: 'forbids' is not one of"),
    ("rules = [{ rule = 'advise', message = 'm' }]", "a rule 'advise' needs 'when'"),
    ("rules = [{ rule = 'advise', when = { n = 1 } }]", "model.mine.rules.0.message: must be a text"),
    ("rules = [{ rule = 'advise', when = { 'n.x' = 1 }, message = 'm' }]", "rules.0: no parameter 'n.x'"),
    ("rules = [{ rule = 'advise', when = {}, message = 'm', hint = 'h' }]", "rules.0.hint: unknown key"),
    ("rules = 5", "model.mine: is not of the right shape"),
    ("spellings = { pic = { too = 'prompt' } }", "spellings.pic.too: unknown key; did you mean to?"),
    ("spellings = { pic = { to = 'prompt', shape = 'round' } }", "spellings.pic.shape: 'round' is not one of"),
]


@pytest.mark.parametrize(("line", "expected"), BAD_MODELS, ids=[row[0][:60] for row in BAD_MODELS])
def test_a_bad_model_is_reported_with_file_and_key(overlay: Overlay, tmp_path: Path, line: str, expected: str) -> None:
    key = line.split(" = ", 1)[0]
    text = "\n".join(row for row in MINE.splitlines() if not row.startswith(f"{key} "))
    if key.startswith("parameters"):
        text = text.split("[model.mine.parameters]")[0]
    text = text.replace("[model.mine]\n", f"[model.mine]\n{line}\n", 1)
    found = overlay(text + MINE.replace("model.mine", "model.good"))
    assert any(expected in problem for problem in found.overlay_problems), found.overlay_problems
    assert all(problem.startswith(f"{tmp_path / 'models.toml'}: ") for problem in found.overlay_problems)
    assert "mine" not in found.models
    assert found.check("image", "good", P).problems == ()
    assert built_in_models_work(found)


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
        ("[modle.a]\nkind = 'image'\n", "models.toml", "modle: unknown section"),
        ("model = 5", "models.toml", "model: must be a table"),
        ("[sources]\nmine = 'warn'\n", "models.toml", "the shared tables: is not of the right shape"),
        ("[sources]\nmine = ['perhaps', 'x']\n", "models.toml", "sources.mine: 'perhaps' is not one of"),
        ("[spellings]\nx = { to = 5 }\n", "models.toml", "spellings.x.to: must be a list of texts"),
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
    for path in (tmp_path / "nowhere.toml", tmp_path):
        (problem,) = load(path).overlay_problems
        assert "cannot be read" in problem


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


# The further documented models need these; none of them may need another shape.
FURTHER = """
[model.further]
kind = 'video'
provider = 'Me'
description = 'Stands for what other documented models ask of the vocabulary.'
capabilities = ['lip-sync', 'motion-control', 'upscale', 'layers', 'outpainting', 'variation']
example = { generation_mode = 'first_frame', image_start = 'https://example.com/a.png' }
rules = ['either', 'draft', 'clips', 'references', 'small']
[rules.either]
rule = 'excludes'
for = 'hd'
of = ['draft']
when = { hd = true, draft = true }
message = 'hd and draft exclude each other'
[rules.draft]
rule = 'allowed-when'
for = 'quality'
allowed = ['480p']
when = { draft = true }
message = 'a draft is 480p'
[rules.clips]
rule = 'allowed-when'
for = 'duration'
range = [2, 10]
when = { video_urls = { count = [1] } }
message = 'at most 10 s with clips'
[rules.references]
rule = 'count-of'
of = ['image_urls', 'video_urls']
count = [0, 5]
for = 'image_urls'
message = 'at most 5 references'
[rules.small]
rule = 'only-with'
for = 'quality'
when = { quality = '1080p' }
with = { image_urls = { count = [0, 1], or_absent = true } }
message = 'no 1080p with two images'
[model.further.parameters]
generation_mode = { type = 'string', allowed = ['first_frame', 'video_continuation'] }
image_start = { type = 'url', required = { when = { generation_mode = 'first_frame' } } }
image_urls = { type = 'url-list', count = [1, 6], forms = ['url', 'data', 'base64'] }
inputs = { type = 'url-list', forms = ['url', 'data'] }
video_urls = { type = 'url-list', count = [1, 3], item = { seconds = [1, 30], max_mb = 100 } }
duration = { type = ['integer', 'string'], range = [3, 15], allowed = [-1, 'auto'], default = 5 }
clips = { type = 'integer', range = [2, 10], allowed = [0] }
speed = { type = 'number' }
weight = { type = 'number', range = [0, 1], step = 0.01 }
tags = { type = 'string-list', count = [0, 2] }
quality = { type = 'string', allowed = ['480p', '1080p'] }
hd = 'flag-off'
draft = 'flag-off'
extra = { type = 'object', open = true, properties = { known = 'flag' } }
tools = { type = 'object-list', properties = { type = { type = 'string', required = true, allowed = ['web_search'] } } }
voices = { type = 'object', keys = '(image|video)[1-9][0-9]*', values = { type = 'url' } }
"""


@pytest.mark.parametrize(
    ("params", "parameter", "expected"),
    [
        ({"generation_mode": "first_frame"}, "image_start", "refused"),
        ({"generation_mode": "video_continuation"}, "image_start", "sent"),
        ({"duration": "auto"}, "duration", "sent"),
        ({"duration": -1}, "duration", "sent"),
        ({"duration": 15}, "duration", "sent"),
        ({"duration": 16}, "duration", "refused"),
        ({"duration": "long"}, "duration", "refused"),
        ({"duration": 11, "video_urls": [LINK]}, "duration", "refused"),
        ({"duration": 10, "video_urls": [LINK]}, "duration", "sent"),
        ({"clips": 0}, "clips", "sent"),
        ({"clips": 1}, "clips", "refused"),
        ({"weight": 0.07}, "weight", "sent"),
        ({"weight": 1}, "weight", "sent"),
        ({"weight": 0.075}, "weight", "refused"),
        ({"weight": 1.01}, "weight", "refused"),
        ({"weight": float("inf")}, "weight", "refused"),
        ({"speed": 1.5}, "speed", "sent"),
        ({"speed": float("inf")}, "speed", "refused"),
        ({"tags": ["a", "b"]}, "tags", "sent"),
        ({"tags": ["a", "b", "c"]}, "tags", "refused"),
        ({"image_urls": ["iVBORw0KGgo="]}, "image_urls[0]", "sent"),
        ({"inputs": ["DATA:image/png;base64,AA=="]}, "inputs[0]", "sent"),
        ({"inputs": ["iVBORw0KGgo="]}, "inputs[0]", "refused"),
        ({"image_urls": [LINK] * 3, "video_urls": [LINK] * 3}, "image_urls", "refused"),
        ({"image_urls": [LINK] * 2, "quality": "1080p"}, "quality", "refused"),
        ({"quality": "1080p"}, "quality", "sent"),
        ({"quality": "1080p", "draft": True}, "quality", "refused"),
        ({"hd": True, "draft": True}, "hd", "refused"),
        ({"hd": True, "draft": False}, "hd", "sent"),
        ({"extra": {"known": True, "anything": [1]}}, "extra.anything", "sent"),
        ({"extra": {"known": 1}}, "extra.known", "refused"),
        ({"tools": [{"type": "web_search"}, {}]}, "tools[1].type", "refused"),
        ({"voices": {"image1": LINK, "video12": LINK}}, "voices", "sent"),
        ({"voices": {"image0": LINK}}, "voices.image0", "refused"),
        ({"voices": {"image1": "nope"}}, "voices.image1", "refused"),
    ],
)
def test_the_vocabulary_can_say_what_further_models_need(
    overlay: Overlay, params: dict[str, object], parameter: str, expected: str
) -> None:
    found = overlay(FURTHER)
    assert found.overlay_problems == []
    checked = found.check("video", "further", params)
    assert outcome(checked, parameter) == expected, checked
    described = found.models["further"]
    assert json.dumps(describe(described))
    assert "voices" in describe_text(described)


SCRAPS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
SECTION_NAMES = (
    "sources capabilities lists order common closed hints spellings shared rules default_models defaults".split()
)
MODEL_FIELDS = "like replace kind endpoint provider description rules example parameters aliases source open".split()


@settings(derandomize=True, deadline=None, max_examples=200, database=None)
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
