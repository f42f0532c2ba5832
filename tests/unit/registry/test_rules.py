"""Rules across parameters, those of the data and those of the vocabulary."""

import pytest

from evolink_mcp.registry import shape, shape_check
from evolink_mcp.registry.build import Builder
from evolink_mcp.registry.reading import Tables
from evolink_mcp.registry.rules import NEEDS, broken
from evolink_mcp.registry.spec import Rule, Span
from tests.unit.registry.breaking import breaking
from tests.unit.registry.support import LINK, check, links, model, outcome, registry

P: dict[str, object] = {"prompt": "A fox"}
FRAME: dict[str, object] = {"image_start": LINK}


def shots(*durations: object) -> dict[str, object]:
    parts = [{"index": place, "prompt": "A fox", "duration": each} for place, each in enumerate(durations, 1)]
    return {"multi_shot": True, "shot_type": "customize", "multi_prompt": parts}


ELEMENT: dict[str, object] = {"element_name": "Fox", "element_description": "A fox", "reference_type": "video_refer"}
CLIP: dict[str, object] = {"element_video_list": {"refer_videos": [{"video_url": LINK}]}}

HELD: list[tuple[str, dict[str, object], str, str]] = [
    ("gpt-4o-image", P | {"mask_url": LINK}, "mask_url", "sent"),
    ("gpt-4o-image", P | {"mask_url": LINK, "image_urls": links(2)}, "mask_url", "refused"),
    ("gpt-image-2", P | {"background": "transparent"}, "background", "sent"),
    ("gpt-image-2", P | {"background": "transparent", "output_format": "webp"}, "background", "sent"),
    ("gpt-image-2", P | {"background": "transparent", "output_format": "jpeg"}, "background", "refused"),
    ("gpt-image-2", P | {"background": "opaque", "output_format": "jpeg"}, "background", "sent"),
    ("doubao-seedream-4.5", P | {"image_urls": links(12), "n": 3}, "n", "sent"),
    ("doubao-seedream-4.5", P | {"image_urls": links(12), "n": 4}, "n", "refused"),
    ("doubao-seedream-4.5", P | {"image_urls": links(14)}, "n", "sent"),
    ("doubao-seedream-4.5", P | {"image_urls": links(14), "n": 1}, "n", "sent"),
    ("doubao-seedream-4.5", P | {"size": "2560x1440", "quality": "2K"}, "quality", "noted"),
    ("doubao-seedream-4.5", P | {"size": "16:9", "quality": "2K"}, "quality", "sent"),
    ("qwen-image-edit-plus", P | {"image_urls": links(1), "size": "1024x1024"}, "size", "sent"),
    ("qwen-image-edit-plus", P | {"image_urls": links(1), "size": "1024x1024", "n": 1}, "size", "sent"),
    ("qwen-image-edit-plus", P | {"image_urls": links(1), "size": "1024x1024", "n": 2}, "size", "refused"),
    ("MiniMax-Hailuo-2.3", P | {"duration": 10, "quality": "1080p"}, "duration", "refused"),
    ("MiniMax-Hailuo-2.3", P | {"duration": 6, "quality": "1080p"}, "duration", "sent"),
    ("MiniMax-Hailuo-2.3", P | {"duration": 10, "quality": "768p"}, "duration", "sent"),
    ("MiniMax-Hailuo-2.3", P | {"duration": 10}, "duration", "sent"),
    ("MiniMax-Hailuo-02", P | {"quality": "512p"}, "quality", "refused"),
    ("MiniMax-Hailuo-02", P | {"quality": "512p", "image_urls": links(2)}, "quality", "refused"),
    ("MiniMax-Hailuo-02", P | {"quality": "512p", "image_urls": links(1)}, "quality", "sent"),
    ("MiniMax-Hailuo-02", {}, "prompt", "refused"),
    ("MiniMax-Hailuo-02", {"image_urls": links(1)}, "prompt", "sent"),
    ("MiniMax-Hailuo-2.3-Fast", {}, "prompt", "refused"),
    ("seedance-2.0-reference-to-video", P, "image_urls", "refused"),
    ("seedance-2.0-reference-to-video", P | {"audio_urls": links(1)}, "image_urls", "refused"),
    ("seedance-2.0-reference-to-video", P | {"video_urls": links(1)}, "image_urls", "sent"),
    ("seedance-2.0-text-to-video", P | {"content_filter": False}, "content_filter", "sent"),
    (
        "seedance-2.0-text-to-video",
        P | {"content_filter": False, "model_params": {"web_search": True}},
        "content_filter",
        "refused",
    ),
    (
        "seedance-2.0-text-to-video",
        P | {"content_filter": True, "model_params": {"web_search": True}},
        "content_filter",
        "sent",
    ),
    ("doubao-seedance-1.0-pro-fast", P | {"aspect_ratio": "adaptive"}, "aspect_ratio", "noted"),
    ("doubao-seedance-1.0-pro-fast", P | {"aspect_ratio": "adaptive", "image_urls": links(1)}, "aspect_ratio", "sent"),
    ("kling-o3-text-to-video", {"model_params": {"multi_shot": True}}, "prompt", "sent"),
    ("kling-o3-text-to-video", {"model_params": {"multi_shot": False}}, "prompt", "refused"),
    ("kling-o3-text-to-video", P | {"model_params": {"multi_shot": True}}, "model_params.multi_shot", "noted"),
    ("kling-v3-text-to-video", {"model_params": {"shot_type": "intelligence"}}, "prompt", "refused"),
    ("kling-v3-text-to-video", {"model_params": shots("2", "3"), "duration": 5}, "model_params.multi_prompt", "sent"),
    ("kling-v3-text-to-video", {"model_params": shots("2", "3"), "duration": 6}, "model_params.multi_prompt", "noted"),
    ("kling-v3-text-to-video", {"model_params": shots("2", "x"), "duration": 6}, "model_params.multi_prompt", "sent"),
    ("kling-v3-text-to-video", {"model_params": shots("2", "3")}, "model_params.multi_prompt", "sent"),
    ("kling-v3-text-to-video", P | {"model_params": shots("5")}, "prompt", "noted"),
    ("kling-o3-image-to-video", P | {"image_end": LINK}, "image_end", "noted"),
    ("kling-o3-image-to-video", P | FRAME | {"image_end": LINK}, "image_end", "sent"),
    ("kling-o3-image-to-video", P | FRAME | {"image_end": LINK, "image_urls": links(1)}, "image_end", "noted"),
    ("kling-o3-image-to-video", P | FRAME | {"image_urls": links(7)}, "image_urls", "noted"),
    ("kling-o3-image-to-video", P | FRAME | {"image_urls": links(6)}, "image_urls", "sent"),
    (
        "kling-o3-image-to-video",
        P | {"model_params": {"element_list": [{"element_id": n} for n in range(8)]}},
        "image_urls",
        "noted",
    ),
    (
        "kling-o3-image-to-video",
        P | FRAME | {"model_params": {"element_list": [{"element_id": str(n)} for n in range(4)]}},
        "model_params.element_list",
        "noted",
    ),
    ("veo-3.1-generate-preview", P | {"generation_type": "FIRST&LAST"}, "generation_type", "noted"),
    (
        "veo-3.1-generate-preview",
        P | {"generation_type": "FIRST&LAST", "image_urls": links(2)},
        "generation_type",
        "sent",
    ),
    (
        "veo-3.1-generate-preview",
        P | {"generation_type": "REFERENCE", "image_urls": links(3), "seed": 1},
        "generation_type",
        "noted",
    ),
    ("veo-3.1-generate-preview", P | {"generation_type": "REFERENCE", "duration": 4}, "duration", "noted"),
    ("veo-3.1-generate-preview", P | {"generation_type": "REFERENCE", "duration": 8}, "duration", "sent"),
    ("veo-3.1-generate-preview", P | {"resize_mode": "crop"}, "resize_mode", "noted"),
    ("wan2.5-text-to-video", P | {"quality": "480p", "aspect_ratio": "4:3"}, "aspect_ratio", "noted"),
    ("wan2.5-text-to-video", P | {"quality": "480p", "aspect_ratio": "1:1"}, "aspect_ratio", "sent"),
    (
        "wan2.6-text-to-video",
        P | {"prompt_extend": False, "model_params": {"shot_type": "multi"}},
        "model_params.shot_type",
        "noted",
    ),
    ("grok-imagine-image-to-video", P | {"image_urls": links(1), "aspect_ratio": "1:1"}, "aspect_ratio", "noted"),
    ("grok-imagine-image-to-video", P | {"image_urls": links(2), "aspect_ratio": "1:1"}, "aspect_ratio", "sent"),
    (
        "omnihuman-1.5",
        {"audio_url": LINK, "image_urls": links(1), "auto_mask": True, "mask_url": links(1)},
        "auto_mask",
        "noted",
    ),
    ("kling-custom-element", {"model_params": ELEMENT}, "model_params.element_video_list", "refused"),
    ("kling-custom-element", {"model_params": ELEMENT | CLIP}, "model_params.element_video_list", "sent"),
    (
        "kling-custom-element",
        {"model_params": ELEMENT | {"reference_type": "image_refer", "element_voice_id": "v"}},
        "model_params.element_voice_id",
        "noted",
    ),
]


@pytest.mark.parametrize(
    ("name", "params", "parameter", "expected"), HELD, ids=[f"{row[0]}-{row[2]}-{row[3]}" for row in HELD]
)
def test_a_rule_holds(name: str, params: dict[str, object], parameter: str, expected: str) -> None:
    checked = check(name, params)
    assert outcome(checked, parameter) == expected, (checked.problems, checked.notes)


@pytest.mark.parametrize("name", list(registry().models))
def test_every_rule_of_the_data_can_be_broken_and_its_example_keeps_it(name: str) -> None:
    for rule in model(name).rules:
        assert broken(rule, breaking(rule)) is not None, rule.message
        assert broken(rule, model(name).example) is None, rule.message


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("kling-o3-image-to-video", P | {"image_urls": links(1)}, "a first frame goes into image_start"),
        ("kling-o3-text-to-video", P | {"model_params": {"shot_type": "customize"}}, "shots need multi_prompt"),
        ("kling-o3-video-edit", P | {"video_url": LINK, "image_urls": links(5)}, "at most 4"),
        ("kling-o3-reference-to-video", P | {"video_url": LINK, "image_urls": links(5)}, "at most 4 beside a video"),
        ("veo-3.1-generate-preview", P | {"generation_type": "REFERENCE", "aspect_ratio": "9:16"}, "always 16:9"),
        ("gpt-image-2", P | {"mask_url": LINK}, "ignored without a reference"),
    ],
)
def test_a_rule_only_warns(name: str, params: dict[str, object], message: str) -> None:
    checked = check(name, params)
    assert checked.problems == ()
    assert any(message in note for note in checked.notes)


def test_a_rule_says_what_was_given() -> None:
    (problem,) = check("MiniMax-Hailuo-2.3", P | {"duration": 10, "quality": "1080p"}).problems
    assert problem.message == 'duration: 1080p is made in 6 s only; given duration 10, quality "1080p" (docs).'


def test_a_refused_value_is_not_noted_besides() -> None:
    checked = check("gpt-image-2", P | {"n": 11, "resolution": "8K"})
    assert [problem.parameter for problem in checked.problems] == ["n", "resolution"]
    assert checked.notes == ()


def test_a_rule_across_parameters_can_limit_a_range() -> None:
    builder = Builder(Tables(sections={"sources": {"docs": ["refuse", "a page"]}}))
    rule = builder.rule(
        {
            "rule": "allowed-when",
            "for": "duration",
            "range": [2, 10],
            "when": {"clips": {"count": [1]}},
            "message": "m",
        },
        "docs",
        "rule",
    )
    for duration, clips, right in [(10, 1, True), (11, 1, False), (11, 0, True), ("x", 1, False), (True, 1, False)]:
        assert (broken(rule, {"duration": duration, "clips": links(clips)}) is None) is right


def test_a_condition_can_ask_for_a_range_and_a_form() -> None:
    builder = Builder(Tables(sections={"sources": {"docs": ["refuse", "a page"]}}))
    rule = builder.rule(
        {"rule": "advise", "when": {"n": {"range": [2]}, "size": {"form": "word"}}, "message": "m"}, "docs", "rule"
    )
    assert broken(rule, {"n": 2, "size": "auto"})
    assert not broken(rule, {"n": 2, "size": "1:1"})
    assert not broken(rule, {"n": "2", "size": "auto"})
    assert not broken(rule, {"n": 2})


def test_a_condition_tells_true_from_one() -> None:
    builder = Builder(Tables(sections={"sources": {"docs": ["refuse", "a page"]}}))
    rule = builder.rule({"rule": "advise", "when": {"draft": True}, "message": "m"}, "docs", "rule")
    assert broken(rule, {"draft": True})
    assert not broken(rule, {"draft": 1})


@pytest.mark.parametrize("kind", [kind for kind, keys in NEEDS.items() if keys])
def test_a_rule_without_what_it_needs_is_an_error(kind: str) -> None:
    (problem,) = shape_check.faults(shape.Rule, {"rule": kind, "message": "m"}, "rules.mine")
    assert f"rules.mine: a rule '{kind}' needs" in str(problem)


def test_notes_never_refuse() -> None:
    rules = [rule for one in registry().models.values() for rule in one.rules]
    assert all(rule.hold == "warn" for rule in rules if rule.kind in ("no-effect-when", "advise"))
    assert any(rule.hold == "refuse" for rule in model("gpt-4o-image").rules)


def test_a_difference_of_what_is_no_number_is_not_taken() -> None:
    rule = Rule("difference-of", "m", "docs", "refuse", others=("end", "start"), range=Span(10, 30))
    assert broken(rule, {"end": 50, "start": 10})
    assert broken(rule, {"end": 30, "start": 10}) is None
    for call in ({"end": "50", "start": 10}, {"end": 50, "start": "10"}, {"end": None, "start": 10}):
        assert broken(rule, call) is None
