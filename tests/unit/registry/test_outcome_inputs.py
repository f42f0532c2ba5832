"""What came out against the input that it should have something of, against defaults, and against flags in a prompt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from evolink_mcp.registry import FileFacts, Model
from evolink_mcp.registry.wish import defaults_of
from evolink_mcp.sandbox.catalog import models as sandbox_models
from evolink_mcp.sandbox.film import complete, shoot
from evolink_mcp.sandbox.plans import deviate, plan
from evolink_mcp.sandbox.work import Film
from tests.unit.registry.support import callable_models, model, registry
from tests.unit.registry.test_outcome import OUTCOMES, facts_of

LINK = "https://example.com/input"
CLIP = FileFacts("video/mp4", 1, 720, 1280, 8.0, 24.0, has_audio=True)
PLACES = {"video_url": LINK, "video_urls": [LINK], "image_urls": [LINK], "image_start": LINK}


def on(one: Model, *, clip: bool) -> dict[str, object]:
    """A call of a model that has the input in its place, and nothing that overrules what is kept of it."""
    places = {name: link for name, link in PLACES.items() if ("video" in name) is clip and name in one.parameters}
    first = dict(list(places.items())[:1])
    leave = {*PLACES, "duration", "aspect_ratio", "quality", "generate_audio", "sound", "model_params"}
    return {**{name: value for name, value in one.example.items() if name not in leave}, **first}


def keeping(role: str) -> list[str]:
    """The models whose result keeps something of a clip."""
    return [
        name for name in callable_models() if role in OUTCOMES.roles.inherited(model(name), on(model(name), clip=True))
    ]


def told(name: str, call: dict[str, object], **result: object) -> list[str]:
    facts = {"width": 720, "height": 1280, "seconds": 8.0, "frame_rate": 24.0, "has_audio": True, **result}
    wish = {key: value for key, value in _wish(model(name), call, CLIP).items() if key == "input"}
    return OUTCOMES.differences(model(name), wish, [FileFacts("video/mp4", 1, **facts)])  # pyright: ignore[reportArgumentType]


def _wish(one: Model, call: dict[str, object], facts: FileFacts) -> dict[str, object]:
    return OUTCOMES.wish(one, call, {OUTCOMES.first_input(one, call): facts})


def test_edits_upscales_extensions_and_lip_syncs_keep_something_of_a_clip() -> None:
    assert len(keeping("sound")) >= 11
    assert {"video-edit", "upscale", "extend", "lip-sync"} <= {
        capability for name in keeping("sound") for capability in model(name).capabilities
    }


@pytest.mark.parametrize("name", keeping("sound"))
def test_sound_that_is_lost_is_told_unless_it_was_not_wanted(name: str) -> None:
    call = on(model(name), clip=True)
    assert told(name, call, seconds=11.0, width=1440, height=2560) == []
    assert told(name, call, seconds=11.0, width=1440, height=2560, has_audio=False) == [
        "The input has sound, the result none."
    ]
    for switch in {"keep_original_sound", "generate_audio"} & {*model(name).parameters}:
        assert told(name, {**call, switch: False}, seconds=11.0, width=1440, height=2560, has_audio=False) == []


@pytest.mark.parametrize("name", keeping("shape"))
def test_a_clip_that_comes_out_in_another_shape_is_told(name: str) -> None:
    call = on(model(name), clip=True)
    assert told(name, call, seconds=11.0, width=1280, height=720) == ["The input is 720×1280, the result 1280×720."]


@pytest.mark.parametrize("name", keeping("seconds"))
def test_a_clip_that_comes_out_shorter_is_told(name: str) -> None:
    call = on(model(name), clip=True)
    assert "The input lasts 8 s, the result 5 s." in told(name, call, seconds=5.0, width=1440, height=2560)


@pytest.mark.parametrize("name", keeping("longer"))
def test_an_extended_clip_that_is_only_the_extension_is_told(name: str) -> None:
    call = on(model(name), clip=True)
    (text,) = told(name, call, seconds=5.0)
    assert text == "The input lasts 8 s, the result 5 s: it may be the added part alone."


def test_where_a_page_says_what_is_added_the_whole_length_is_known() -> None:
    name = "gemini-omni-1.1-flash-video-extend"
    call = {**on(model(name), clip=True), "duration": 5}
    assert told(name, call, seconds=13.0) == []
    assert told(name, call, seconds=10.0) == ["Asked 5 s more than 8 s, got 10 s."]


def lengths_left_open() -> list[str]:
    names = [name for name in keeping("longer") if "duration" in model(name).parameters]
    return [name for name in names if OUTCOMES.roles.parameter(model(name), "added") is None]


@pytest.mark.parametrize("name", lengths_left_open())
def test_an_extension_that_is_right_by_no_reading_of_duration_is_told(name: str) -> None:
    call = {**on(model(name), clip=True), "duration": 5}
    assert told(name, call, seconds=13.0) == []
    assert told(name, call, seconds=9.0) == ["Asked 5 s for a clip of 8 s, got 9 s."]
    assert told(name, {**call, "duration": 12}, seconds=12.0) == []


def test_a_clip_that_was_to_be_enlarged_and_was_not_is_told() -> None:
    name = "topaz-video-upscale"
    call = {**on(model(name), clip=True), "model_params": {"upscale_factor": "4"}}
    assert told(name, call, width=2880, height=5120) == []
    assert told(name, call, width=1440, height=2560) == [
        "The shorter edge should have 2880 pixels, the result is 1440×2560."
    ]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of few pixels, upright, two seconds long, with sound."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    shoot(Film("x", "x", 96, (9, 16), 2, sound=True), path, lambda: True)
    return path


@pytest.mark.parametrize("name", keeping("sound"))
def test_what_the_sandbox_makes_of_a_clip_has_of_it_what_the_page_says(name: str, clip: Path) -> None:
    call = on(model(name), clip=True)
    (work,) = plan(sandbox_models()[name], {"model": name, **call}, lambda _: clip)
    assert isinstance(work, Film)
    film = complete(work)
    facts = replace(CLIP, width=96, height=170, seconds=2.0)
    assert OUTCOMES.differences(model(name), _wish(model(name), call, facts), [facts_of(film)]) == []
    (silent,) = deviate((work,), {"sound": False})
    differences = OUTCOMES.differences(model(name), _wish(model(name), call, facts), [facts_of(complete(silent))])  # pyright: ignore[reportArgumentType]
    assert differences == ["The input has sound, the result none."]


def films_of_pictures() -> list[str]:
    names = [name for name in callable_models() if OUTCOMES.roles.makes_still(model(name))]
    return [name for name in names if {"image_urls", "image_start"} & {*model(name).parameters}]


@pytest.mark.parametrize("name", films_of_pictures())
def test_a_picture_that_becomes_a_film_of_another_shape_is_told_unless_that_was_asked_for(name: str) -> None:
    one, square = model(name), FileFacts("image/png", 1, 1024, 1024)
    call = on(one, clip=False)
    film = FileFacts("video/mp4", 1, 1280, 720)
    wish = OUTCOMES.wish(one, call, {LINK: square})
    assert "The input is 1024×1024, the result 1280×720." in OUTCOMES.differences(one, wish, [film])
    if "aspect_ratio" in one.parameters and "16:9" in one.parameters["aspect_ratio"].allowed:
        wish = OUTCOMES.wish(one, {**call, "aspect_ratio": "16:9"}, {LINK: square})
        assert not [each for each in OUTCOMES.differences(one, wish, [film]) if "input" in each]


@pytest.mark.parametrize("name", callable_models())
def test_what_a_model_makes_by_default_is_made_by_the_sandbox_and_told_where_it_is_not(name: str) -> None:
    """With nothing set but what has to be."""
    one, sandbox = model(name), sandbox_models()[name]
    required = {key: value for key, value in one.example.items() if key in PLACES or "audio" in key or key == "prompt"}
    required |= {key: one.example[key] for key, each in one.parameters.items() if each.required and key in one.example}
    required = {key: value for key, value in required.items() if key not in ("generate_audio", "duration", "quality")}
    decided = defaults_of(OUTCOMES.roles, one, required)
    if not sandbox.makes_files:
        return
    orders: dict[str, dict[str, object]] = {
        "shape": {"size": "1000x300"}, "tier": {"size": "96x96"}, "seconds": {"seconds": 61}, "number": {"count": 16},
        "sound": {"sound": decided.get("sound") not in (True, "on")},
    }  # fmt: skip
    for order in ({}, *(orders[role] for role in orders if role in decided)):
        works = deviate(plan(sandbox, {"model": name, **required}, lambda _: None), order)
        differences = OUTCOMES.differences(one, OUTCOMES.wish(one, required), [facts_of(work) for work in works])
        assert bool([each for each in differences if each.startswith("By default")]) is bool(order), differences


def test_what_comes_by_default_is_said_so() -> None:
    one, small = model("nano-banana-2-lite"), FileFacts("image/png", 1, 1024, 1024)
    wish = OUTCOMES.wish(one, {"prompt": "x"})
    assert "By default 2K, got 1024×1024." in OUTCOMES.differences(one, wish, [small])
    one = model("mj-v8.2")
    assert OUTCOMES.defaults(one, {"prompt": "x"}) == ["4 images", "1:1"]
    wish = OUTCOMES.wish(one, {"prompt": "x"})
    assert OUTCOMES.differences(one, wish, [small]) == ["By default 4 images, got 1."]
    draft = {"prompt": "x", "model_params": {"speed": "draft"}}
    assert OUTCOMES.defaults(one, draft) == ["24 images", "0.5K", "1:1"]
    assert OUTCOMES.wish(model("seedance-2.5-text-to-video"), {"prompt": "x", "draft": True})["default"] == {
        "seconds": 5, "sound": True,
    }  # fmt: skip


def test_flags_that_a_model_reads_are_held_against_the_result() -> None:
    one, square = model("mj-v8.2"), FileFacts("image/png", 1, 1024, 1024)
    wish = OUTCOMES.wish(one, {"prompt": "A lighthouse --ar 3:2 --s 200"})
    assert OUTCOMES.differences(one, wish, [square] * 4) == ["Asked 3:2, got 1024×1024."]
    works = plan(sandbox_models()["mj-v8.2"], {"prompt": "A lighthouse --ar 3:2 --s 200"}, lambda _: None)
    assert OUTCOMES.differences(one, wish, [facts_of(work) for work in works]) == []


@pytest.mark.parametrize(
    ("name", "prompt", "note"),
    [
        ("gpt-image-2", "A hat --ar 3:2", "prompt: this model reads no flags, so --ar is only text to it; use size"),
        ("seedance-1.5-pro", "x --v 7", "prompt: this model reads no flags, so --v is only text to it"),
        ("mj-v8.2", "A hat --ar 3:2 --v 7", "prompt: --v has no effect with this model"),
        ("mj-v8.2", "A hat --stop 50", "prompt: --stop makes the task fail with this model"),
        ("mj-v8.2", "A hat --video", "prompt: --video is not known to have an effect with this model"),
    ],
)
def test_what_becomes_of_flags_in_a_prompt_is_said(name: str, prompt: str, note: str) -> None:
    assert list(OUTCOMES.notes(model(name), {"prompt": prompt}, {})) == [note]


@pytest.mark.parametrize(
    "dash", ["\u2014", "\u2013", "\u2015", "\u2010\u2010", "\u2212\u2212", "\uff0d\uff0d", "\u2014\u2014"]
)
def test_a_flag_behind_the_dash_that_phones_write_is_a_flag(dash: str) -> None:
    call = {"prompt": f"A hat {dash}ar 16:9 {dash}turbo"}
    plain = {"prompt": "A hat --ar 16:9 --turbo"}
    for one in (model("mj-v8.2"), model("gpt-image-2")):
        assert OUTCOMES.roles.flags_in(one, call) == OUTCOMES.roles.flags_in(one, plain) != {}
        assert OUTCOMES.wish(one, call) == OUTCOMES.wish(one, plain)
        assert list(OUTCOMES.notes(one, call, {})) == list(OUTCOMES.notes(one, plain, {}))


@pytest.mark.parametrize(
    "prompt",
    [
        "A \u2014 ar 3:2",
        "a\u2014ar",
        "Signs: \u2014arrive",
        "A -- B",
        "pre--war town",
        "Signs: --arrive",
        "--",
        "it's 5--c",
        "",
    ],
)
def test_dashes_are_no_flags(prompt: str) -> None:
    assert list(OUTCOMES.notes(model("gpt-image-2"), {"prompt": prompt}, {})) == []
    assert registry().outcomes.roles.flags_in(model("mj-v8.2"), {"prompt": prompt}) == {}


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "picture.png"
    Image.new("RGB", (1024, 1024)).save(path)
    return path


def editors_in_tiers() -> list[tuple[str, str, str]]:
    """The models that give a picture the shape of their reference, each with a parameter and a value for its tier."""
    found: list[tuple[str, str, str]] = []
    for name in callable_models():
        one = model(name)
        shape, tier = OUTCOMES.roles.parameter(one, "shape"), OUTCOMES.roles.parameter(one, "tier")
        follows = one.endpoint == "image" and shape is not None and shape.default in OUTCOMES.roles.follow
        if follows and tier is not None and sandbox_models()[name].page != "S3" and "image_urls" in one.parameters:
            found += [
                (name, tier.name, value) for value in map(str, tier.allowed) if value.lower() in OUTCOMES.roles.tiers
            ]
    return found


@pytest.mark.parametrize(("name", "tier", "value"), editors_in_tiers())
def test_an_edit_in_a_tier_is_made_in_it_by_the_sandbox_and_nothing_is_told(
    name: str, tier: str, value: str, picture: Path
) -> None:
    call = {"prompt": "x", "image_urls": [LINK], tier: value}
    works = plan(sandbox_models()[name], {"model": name, **call}, lambda _: picture)
    wish = OUTCOMES.wish(model(name), call, {LINK: FileFacts("image/png", 1, 1024, 1024)})
    assert OUTCOMES.differences(model(name), wish, [facts_of(work) for work in works]) == []
