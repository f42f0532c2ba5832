"""What came out against what was asked for, for every model: each deviation is told, a faithful result says nothing.

The sandbox's plans stand for results: a second reading of what a request means.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evolink_mcp.registry import FileFacts, Model
from evolink_mcp.sandbox.catalog import models as sandbox_models
from evolink_mcp.sandbox.plans import deviate, plan
from evolink_mcp.sandbox.sizes import film_size
from evolink_mcp.sandbox.work import Picture, Tone, Work
from tests.unit.registry.support import callable_models, model, registry

OUTCOMES = registry().outcomes
# What a role is held against: an order that the sandbox carries out in place of the request.
OTHER: dict[str, dict[str, object]] = {
    "shape": {"size": "1000x300"},
    "tier": {"size": "96x96"},
    "seconds": {"seconds": 61},
    "number": {"count": 16},
    "background": {"transparent": False},
}


def facts_of(work: Work) -> FileFacts:
    if isinstance(work, Picture):
        return FileFacts(work.mime, 1, work.width, work.height, has_alpha=work.transparent)
    if isinstance(work, Tone):
        return FileFacts(work.mime, 1, seconds=work.seconds, has_audio=True)
    width, height = film_size(work.short_edge, work.shape or (16, 9))
    return FileFacts(work.mime, 1, width, height, work.seconds, 24.0, has_audio=work.sound)


def differences(name: str, call: dict[str, object], order: dict[str, object]) -> list[str]:
    """What is told of the results of a call, carried out by the sandbox with an ``order`` of deviations."""
    one = model(name)
    checked = registry().check(one.endpoint, name, call)
    body = {"model": name, **checked.params}
    works = deviate(plan(sandbox_models()[name], body, lambda _: None), order)
    return OUTCOMES.differences(one, OUTCOMES.wish(one, checked.params), [facts_of(work) for work in works])


def values(one: Model, role: str) -> Iterator[tuple[str, object]]:
    """Values of the parameters that decide one role, as many as their limits name."""
    for parameter in one.parameters.values():
        if OUTCOMES.roles.of(parameter) != role:
            continue
        yield from ((parameter.name, value) for value in parameter.allowed)
        if parameter.range is not None:
            yield parameter.name, int(parameter.range.low or 1)
        if role == "sound" and "boolean" in parameter.types:
            yield from ((parameter.name, value) for value in (True, False))


def calls(name: str, role: str) -> Iterator[dict[str, object]]:
    """Calls of a model that pass every check and say something of a role."""
    one = model(name)
    for parameter, value in values(one, role):
        call = {**one.example, parameter: value}
        if not registry().check(one.endpoint, name, call).problems and parameter in OUTCOMES.wish(one, call):
            yield call


@pytest.mark.parametrize("name", callable_models())
def test_a_faithful_result_says_nothing(name: str) -> None:
    if not sandbox_models()[name].makes_files:
        return
    assert differences(name, dict(model(name).example), {}) == []
    for role in (*OTHER, "sound", "format"):
        for call in calls(name, role):
            assert differences(name, call, {}) == [], call


@pytest.mark.parametrize("name", callable_models())
def test_a_result_that_is_other_than_the_call_says_is_told(name: str) -> None:
    if not sandbox_models()[name].makes_files:
        return
    for role, order in OTHER.items():
        for call in calls(name, role):
            parameter = next(each for each in model(name).parameters.values() if OUTCOMES.roles.of(each) == role)
            if _says(role, call.get(parameter.name)):
                assert differences(name, call, order), (role, call)
    for call in calls(name, "sound"):
        wanted = call.get("generate_audio", call.get("sound")) in (True, "on")
        assert differences(name, call, {"sound": not wanted}), call


def _says(role: str, value: object) -> bool:
    """Whether a value can be deviated from at all: an effort is no tier, and opaque pictures may be anything."""
    if role == "tier":
        return str(value)[0].isdigit()
    if role == "seconds":
        return isinstance(value, int) and value > 0
    return value == "transparent" if role == "background" else True


def test_the_sentences_are_short_and_say_both() -> None:
    wish = {"size": "9:16", "resolution": "4K", "n": 2, "background": "transparent"}
    facts = FileFacts("image/png", 1, 1024, 1024, has_alpha=False)
    assert OUTCOMES.differences(model("gpt-image-2"), wish, [facts]) == [
        "Asked 2 images, got 1.",
        "Asked 9:16, got 1024×1024.",
        "Asked 4K, got 1024×1024.",
        "Asked for a transparent background, got an opaque one.",
    ]
    wish = {"duration": 8, "generate_audio": True, "aspect_ratio": "9:16", "quality": "720p"}
    film = FileFacts("video/mp4", 1, 1280, 720, 5.04, 24.0, has_audio=False)
    assert OUTCOMES.differences(model("seedance-1.5-pro"), wish, [film]) == [
        "Asked 8 s, got 5.04 s.",
        "Asked for sound, got none.",
        "Asked 9:16, got 1280×720.",
    ]


def test_what_did_not_come_out_is_what_to_search_models_by() -> None:
    wish: dict[str, object] = {"duration": 8, "generate_audio": True, "aspect_ratio": "9:16", "quality": "720p"}
    film = FileFacts("video/mp4", 1, 1280, 720, 5.0, 24.0, has_audio=False)
    words = OUTCOMES.search_words(model("seedance-1.5-pro"), wish, [film])
    assert sorted(words.split()) == sorted("8 seconds sound 9:16".split())


def test_of_several_results_the_ones_that_differ_are_named() -> None:
    square, wide = FileFacts("image/png", 1, 1024, 1024), FileFacts("image/png", 1, 1824, 1024)
    wish = {"size": "16:9"}
    assert OUTCOMES.differences(model("gpt-image-2"), wish, [wide, square]) == ["Asked 16:9, got 1024×1024 (result 2)."]


@pytest.mark.parametrize(
    ("size", "ratio"),
    [((864, 496), "16:9"), ((1360, 768), "16:9"), ((1456, 720), "2:1"), ((854, 480), "16:9"), ((1152, 912), "5:4")],
)
def test_what_encoders_round_is_the_ratio_that_was_asked_for(size: tuple[int, int], ratio: str) -> None:
    facts = FileFacts("video/mp4", 1, *size)
    assert OUTCOMES.differences(model("gpt-image-2"), {"size": ratio}, [facts]) == []


@pytest.mark.parametrize(("size", "tier"), [((960, 960), "720p"), ((1504, 640), "720p"), ((720, 1280), "720p")])
def test_a_tier_is_a_budget_of_pixels(size: tuple[int, int], tier: str) -> None:
    facts = FileFacts("video/mp4", 1, *size)
    assert OUTCOMES.differences(model("seedance-1.5-pro"), {"quality": tier}, [facts]) == []
    assert OUTCOMES.differences(model("seedance-1.5-pro"), {"quality": "1080p"}, [facts])


def test_what_is_not_known_or_was_not_asked_for_differs_in_nothing() -> None:
    wish = {"size": "16:9", "resolution": "4K", "background": "transparent"}
    assert OUTCOMES.differences(model("gpt-image-2"), wish, [FileFacts("", 0)]) == []
    assert OUTCOMES.differences(model("gpt-image-2"), {}, [FileFacts("image/png", 1, 3, 3, has_alpha=False)]) == []


def test_an_edit_keeps_the_shape_and_the_length_of_its_clip() -> None:
    one, link = model("kling-o3-video-edit"), "https://example.com/street.mp4"
    files = {link: FileFacts("video/mp4", 1, 720, 1280, 8.0)}
    wish = OUTCOMES.wish(one, {"prompt": "Make it snow", "video_url": link}, files)
    assert OUTCOMES.differences(one, wish, [FileFacts("video/mp4", 1, 720, 1280, 7.7)]) == []
    assert OUTCOMES.differences(one, wish, [FileFacts("video/mp4", 1, 1280, 720, 5.0)]) == [
        "The input is 720×1280, the result 1280×720.",
        "The input lasts 8 s, the result 5 s.",
    ]


def test_seconds_that_are_added_to_a_clip_are_not_those_of_the_result() -> None:
    one = model("gemini-omni-1.1-flash-video-extend")
    call = {"prompt": "On", "video_urls": ["https://example.com/a.mp4"], "duration": 5}
    assert OUTCOMES.differences(one, OUTCOMES.wish(one, call), [FileFacts("video/mp4", 1, 1280, 720, 12.0)]) == []


def test_defaults_are_told_where_the_call_leaves_them_open() -> None:
    one = model("seedance-1.5-pro")
    assert OUTCOMES.defaults(one, {"prompt": "x"}) == ["5 s", "720p", "16:9", "with sound (costs extra)"]
    assert OUTCOMES.defaults(one, {"prompt": "x", "duration": 6, "generate_audio": False}) == ["720p", "16:9"]
    assert OUTCOMES.defaults(model("gpt-image-2"), {"prompt": "x", "size": "16:9"}) == ["1K"]
    assert OUTCOMES.defaults(model("gpt-image-2"), {"prompt": "x"}) == []  # a tier counts beside a ratio only
    assert OUTCOMES.defaults(model("gpt-image-1.5"), {"prompt": "x"}) == []  # an effort is no matter of what comes out


def test_a_picture_of_another_shape_is_warned_of() -> None:
    one, link = model("seedance-1.5-pro"), "https://local.invalid/1"
    files = {link: FileFacts("image/png", 1, 1024, 1024)}
    call = {"prompt": "x", "image_urls": [link]}
    assert list(OUTCOMES.notes(one, call, files)) == [
        "image_urls: the picture is 1024 × 1024; this call makes 16:9, so it may be cropped or stretched unless "
        "aspect_ratio is adaptive"
    ]
    for fine in ({"aspect_ratio": "adaptive"}, {"aspect_ratio": "1:1"}):
        assert list(OUTCOMES.notes(one, {**call, **fine}, files)) == []
