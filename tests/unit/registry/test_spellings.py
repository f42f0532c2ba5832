"""Friendly spellings of parameters and values, and what is sent for them."""

import re

import pytest

from tests.unit.registry.support import LINK, P, bare_call, callable_models, check, links, message, model, refused


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("seedance-2.0-text-to-video", {"web_search": True}, "Put it in model_params: model_params.web_search."),
        ("kling-v3-text-to-video", {"shot_type": "customize"}, "model_params.shot_type"),
    ],
)
def test_a_nested_parameter_at_the_top_is_told_its_place(name: str, params: dict[str, object], expected: str) -> None:
    assert expected in message(name, next(iter(params)), params)


@pytest.mark.parametrize(
    ("name", "params", "sent"),
    [
        ("seedance-2.0-text-to-video", {"quality": "4K"}, "4k"),
        ("seedance-1.5-pro", {"quality": "720P"}, "720p"),
        ("gpt-image-2", {"quality": "HIGH"}, "high"),
        ("gpt-image-2", {"size": "AUTO"}, "auto"),
        ("gpt-image-2", {"size": "1024X1024"}, "1024x1024"),
        ("gpt-4o-image", {"size": "1024×1024"}, "1024x1024"),
        ("gpt-4o-image", {"size": "1024X1536"}, "1024x1536"),
        ("kling-o3-text-to-video", {"sound": "ON"}, "on"),
        ("gpt-4o-image", {"size": "1024*1024"}, "1024x1024"),
        ("gpt-4o-image", {"size": "1024 x 1536"}, "1024x1536"),
        ("gpt-image-2", {"size": "1024 by 1536 px"}, "1024x1536"),
        ("gpt-image-2", {"resolution": "4 k"}, "4K"),
        ("seedance-1.5-pro", {"aspect_ratio": "16/9"}, "16:9"),
        ("seedance-1.5-pro", {"aspect_ratio": "16 : 9"}, "16:9"),
        ("seedance-1.5-pro", {"aspect_ratio": "16：9"}, "16:9"),
        ("seedance-1.5-pro", {"aspect_ratio": "16∶9"}, "16:9"),
        ("seedance-1.5-pro", {"aspect_ratio": "'16:9'"}, "16:9"),
        ("seedance-1.5-pro", {"quality": "1080 p"}, "1080p"),
    ],
)
def test_another_writing_of_an_allowed_value_is_sent_as_listed(name: str, params: dict[str, object], sent: str) -> None:
    checked = check(name, P | params)
    ((parameter, value),) = params.items()
    assert checked.problems == ()
    assert checked.params[parameter] == sent
    assert any(note.startswith(f'{parameter}: "{value}" sent as "{sent}"') for note in checked.notes)


@pytest.mark.parametrize(
    ("name", "wire"), [("kling-v3-text-to-video", "sound"), ("seedance-1.5-pro", "generate_audio")]
)
@pytest.mark.parametrize("key", ["sound", "generate_audio"])
@pytest.mark.parametrize(
    ("value", "on"), [(True, True), (False, False), ("on", True), ("off", False), ("False", False)]
)
def test_sound_is_switched_in_any_form_under_either_name(
    name: str, wire: str, key: str, value: object, on: bool
) -> None:
    checked = check(name, P | {key: value})
    sent: object = ("on" if on else "off") if wire == "sound" else on
    assert checked.problems == ()
    assert checked.params == P | {wire: sent}
    assert bool(checked.notes) is ((key, value) != (wire, sent))


def test_two_names_that_agree_in_other_forms_are_sent_once() -> None:
    checked = check("kling-o3-text-to-video", P | {"generate_audio": True, "sound": True})
    assert (checked.problems, checked.params) == ((), P | {"sound": "on"})


@pytest.mark.parametrize(("value", "sent"), [(True, "on"), (False, "off")])
def test_generate_audio_is_sound_for_models_that_call_it_so(value: bool, sent: str) -> None:
    checked = check("kling-v3-text-to-video", P | {"generate_audio": value})
    assert checked.problems == ()
    assert checked.params == P | {"sound": sent}
    assert "calls it sound" in checked.notes[0]


@pytest.mark.parametrize(
    ("name", "params", "sent"),
    [
        ("seedance-1.5-pro", {"sound": "off"}, {"generate_audio": False}),
        ("gpt-image-2", {"image_url": LINK}, {"image_urls": [LINK]}),
        ("kling-o1-video-edit", {"video_url": LINK}, {"video_urls": [LINK]}),
        ("kling-o3-video-edit", {"video_urls": [LINK]}, {"video_url": LINK}),
        ("kling-v3-image-to-video", {"image_urls": [LINK]}, {"image_start": LINK}),
        ("kling-v3-image-to-video", {"image_url": LINK}, {"image_start": LINK}),
        (
            "kling-v3-image-to-video",
            {"image_urls": links(2)},
            dict(zip(["image_start", "image_end"], links(2), strict=True)),
        ),
        ("kling-o3-text-to-video", {"generate_audio": True, "sound": "on"}, {"sound": "on"}),
    ],
)
def test_a_friendly_spelling_is_sent_as_the_wire_name(
    name: str, params: dict[str, object], sent: dict[str, object]
) -> None:
    checked = check(name, P | params)
    assert checked.problems == ()
    assert checked.params == P | sent
    assert checked.notes


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("kling-o3-text-to-video", {"generate_audio": "loud"}),
        ("kling-o3-text-to-video", {"generate_audio": 1}),
        ("seedance-1.5-pro", {"sound": "maybe"}),
        ("gpt-image-2", {"image_url": [LINK]}),
        ("kling-o3-video-edit", {"video_urls": links(2)}),
        ("kling-o3-video-edit", {"video_urls": LINK}),
        ("kling-v3-image-to-video", {"image_urls": links(3)}),
        ("kling-v3-image-to-video", {"image_urls": []}),
    ],
)
def test_a_spelling_with_no_one_meaning_is_refused(name: str, params: dict[str, object]) -> None:
    assert refused(check(name, P | params), next(iter(params)))


def test_two_spellings_that_disagree_are_refused() -> None:
    checked = check("kling-o3-text-to-video", P | {"generate_audio": True, "sound": "off"})
    (problem,) = checked.problems
    assert problem.parameter == "generate_audio"
    assert 'sound "off" says otherwise' in problem.message
    assert checked.params == P | {"sound": "off"}


def test_a_list_of_one_link_is_sent_as_that_link() -> None:
    first, second = links(2)
    assert check("kling-o3-video-edit", P | {"video_urls": [first]}).params["video_url"] == first
    assert refused(check("kling-o3-video-edit", P | {"video_urls": [first, second]}), "video_urls")


@pytest.mark.parametrize(
    ("name", "params", "sent"),
    [
        ("seedance-1.5-pro", {"resolution": "1080p"}, {"quality": "1080p"}),
        ("seedance-1.5-pro", {"resolution": "Full HD"}, {"quality": "1080p"}),
        ("gemini-3-pro-image-preview", {"resolution": "4k"}, {"quality": "4K"}),
        ("gpt-image-2-beta", {"quality": "1k"}, {"resolution": "1K"}),
        ("seedance-1.5-pro", {"seconds": 8}, {"duration": 8}),
        ("seedance-1.5-pro", {"ratio": "9:16"}, {"aspect_ratio": "9:16"}),
        ("gpt-image-2", {"ratio": "9:16"}, {"size": "9:16"}),
        ("gpt-image-2", {"aspect_ratio": "9:16"}, {"size": "9:16"}),
        ("seedance-1.5-pro", {"size": "9:16"}, {"aspect_ratio": "9:16"}),
    ],
)
def test_another_name_of_one_meaning_is_sent_under_the_models_own(
    name: str, params: dict[str, object], sent: dict[str, object]
) -> None:
    checked = check(name, P | params)
    assert checked.problems == ()
    assert checked.params == P | sent
    assert any("calls it" in note for note in checked.notes)


@pytest.mark.parametrize(
    ("name", "params", "parameter"),
    [
        ("seedance-1.5-pro", {"resolution": "best"}, "resolution"),
        ("gpt-image-2", {"quality": "ultra"}, "quality"),
        ("seedance-1.5-pro", {"seconds": 99}, "duration"),
        ("seedance-1.5-pro", {"ratio": "1:9"}, "aspect_ratio"),
        ("gpt-image-2", {"quality": "2K"}, "quality"),
        ("gpt-image-2", {"resolution": "high"}, "resolution"),
    ],
)
def test_another_name_whose_value_the_model_does_not_take_is_refused(
    name: str, params: dict[str, object], parameter: str
) -> None:
    assert refused(check(name, P | params), parameter)


@pytest.mark.parametrize("name", callable_models())
def test_a_tier_is_taken_under_either_name_on_every_model(name: str) -> None:
    for wire, other in (("quality", "resolution"), ("resolution", "quality")):
        parameter = model(name).parameters.get(wire) if other not in model(name).parameters else None
        tiers = [one for one in parameter.allowed if re.fullmatch(r"[0-9.]+[kKp]", str(one))] if parameter else []
        for tier in tiers:
            call = {
                key: value for key, value in bare_call(name).items() if key not in ("quality", "resolution", "size")
            }
            plain, other_name = check(name, call | {wire: tier}), check(name, call | {other: tier})
            assert other_name.params == plain.params, (wire, tier)
            assert len(other_name.problems) == len(plain.problems)


@pytest.mark.parametrize(
    ("name", "parameter", "value", "expected"),
    [
        ("seedance-1.5-pro", "quality", "1080P", "1080p"),
        ("seedance-1.5-pro", "quality", " 1080p ", "1080p"),
        ("seedance-1.5-pro", "quality", "1080", "1080p"),
        ("seedance-1.5-pro", "quality", "Full HD", "1080p"),
        ("seedance-1.5-pro", "quality", "full-hd", "1080p"),
        ("seedance-1.5-pro", "aspect_ratio", "16:9 ", "16:9"),
        ("seedance-1.5-pro", "aspect_ratio", "16x9", "16:9"),
        ("seedance-1.5-pro", "aspect_ratio", "16 : 9", "16:9"),
        ("seedance-1.5-pro", "aspect_ratio", "Portrait", "9:16"),
        ("seedance-1.5-pro", "aspect_ratio", "auto", "adaptive"),
        ("kling-v3-text-to-video", "quality", "2160p", "4k"),
        ("kling-v3-text-to-video", "quality", "UHD", "4k"),
        ("gemini-3-pro-image-preview", "quality", "4k", "4K"),
        ("gpt-image-1.5", "size", "square", "1:1"),
        ("gpt-image-2", "output_format", "JPG", "jpeg"),
    ],
)
def test_a_value_in_other_words_of_one_meaning_is_sent_as_listed(
    name: str, parameter: str, value: str, expected: str
) -> None:
    checked = check(name, P | {parameter: value})
    assert checked.problems == ()
    assert checked.params[parameter] == expected
    assert any(note.startswith(f"{parameter}: ") and "sent as" in note for note in checked.notes)


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("seedance-1.5-pro", "quality", "4k"),
        ("seedance-1.5-pro", "quality", "uhd"),
        ("seedance-1.5-pro", "quality", "best"),
        ("seedance-1.5-pro", "aspect_ratio", "3x2"),
        ("seedance-1.5-pro", "aspect_ratio", "1920x1080"),
        ("gpt-image-2", "quality", "hd"),
        ("gpt-image-2", "size", "16x9"),
        ("gpt-image-2", "size", "square"),
    ],
)
def test_a_word_without_one_meaning_here_is_still_refused(name: str, parameter: str, value: str) -> None:
    assert refused(check(name, P | {parameter: value}), parameter)
