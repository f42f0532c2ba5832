"""A model described: complete, in JSON and in text, and short."""

import json
import re
from typing import Any, cast

import pytest

from evolink_mcp.registry import describe, describe_call, describe_text
from tests.unit.registry.support import model, registry


@pytest.mark.parametrize("name", list(registry().models))
def test_a_description_is_json_and_short(name: str) -> None:
    said = json.dumps(describe(model(name)), ensure_ascii=False, separators=(",", ":"))
    assert len(said) < 3300
    assert len(describe_text(model(name))) < 2500


@pytest.mark.parametrize("name", list(registry().models))
def test_every_parameter_tells_type_source_and_hold(name: str) -> None:
    parameters = cast(dict[str, Any], describe(model(name)).get("parameters", {}))
    assert list(parameters) == list(model(name).parameters)
    for parameter in parameters.values():
        assert parameter["type"]
        assert parameter["hold"] in ("refuse", "warn")
        assert {*parameter["source"].split(", ")} <= set(registry().sources)


def test_a_description_has_all_that_is_known() -> None:
    said = cast(dict[str, Any], describe(model("gpt-4o-image")))
    assert (said["kind"], said["beta"], said["status"]) == ("image", True, "legacy")
    assert said["parameters"]["n"] == {
        "type": "integer",
        "allowed": [1, 2, 4],
        "default": 1,
        "source": "S4",
        "hold": "refuse",
    }
    assert said["parameters"]["prompt"]["required"] is True
    assert said["parameters"]["image_urls"]["item"] == {"max_mb": 10, "formats": ("jpeg", "jpg", "png", "webp")}
    assert said["rules"] == [
        {"rule": "a mask works with at most one reference image", "source": "S4", "hold": "refuse"}
    ]
    assert said["example"]


def test_what_is_only_warned_of_or_sent_all_the_same_is_said() -> None:
    said = cast(dict[str, Any], describe(model("gpt-image-1.5")))["parameters"]
    assert said["prompt"]["warned"] == {"length": "docs"}
    assert said["size"]["also_sent"]["source"] == "S1-table"
    assert "16:9" in said["size"]["also_sent"]["allowed"]
    assert "1:1" not in said["size"]["also_sent"]["allowed"]
    assert said["n"]["also_sent"]["range"] == [1, 4]


@pytest.mark.parametrize(
    ("name", "parameter", "expected"),
    [
        ("MiniMax-Hailuo-02", "prompt", "unless image_urls has at least 1"),
        ("MiniMax-Hailuo-2.3-Fast", "image_urls", "warned only"),
        ("kling-v3-text-to-video", "prompt", "unless model_params.shot_type is customize"),
    ],
)
def test_a_condition_is_put_into_words(name: str, parameter: str, expected: str) -> None:
    assert cast(dict[str, Any], describe(model(name)))["parameters"][parameter]["required"] == expected


def test_a_false_default_is_still_a_default() -> None:
    assert cast(dict[str, Any], describe(model("z-image-turbo")))["parameters"]["nsfw_check"]["default"] is False


def test_nested_parameters_are_described() -> None:
    said = cast(dict[str, Any], describe(model("kling-custom-element")))
    assert (said["kind"], said["endpoint"]) == ("asset", "video")
    inner = said["parameters"]["model_params"]["properties"]
    assert inner["element_image_list"]["required"] == "when model_params.reference_type is image_refer"
    assert inner["element_name"]["length"] == [1, 20]


def test_the_text_for_people_says_the_same_line_by_line_with_its_sources() -> None:
    text = describe_text(model("gpt-image-2"), sources=True)
    assert text.startswith("gpt-image-2 (image, OpenAI, active): ")
    assert "  prompt* string: 1–32,000 characters; 1–60,000 bytes (warned of, docs-prose)\n" in text
    assert "WxH, multiples of 16, edges 16–3840 px, 655,360–8,294,400 pixels in all, at most 3:1" in text
    assert "[S3, refused] unless another is named" in text
    assert "  output_format string: png, jpeg, webp; default png; newer pages [docs, refused]\n" in text
    assert json.loads(text.rsplit("Example: ", 1)[1]) == dict(model("gpt-image-2").example)


def test_the_text_of_a_placeholder_only_points_on() -> None:
    text = describe_text(model("seedance-2.0"))
    assert "Use instead: seedance-2.0-text-to-video" in text
    assert "Parameters" not in text


def test_the_text_names_aliases_conditions_and_tolerated_values() -> None:
    text = describe_text(model("gpt-image-1.5-lite"))
    assert "beta" in text.splitlines()[0]
    assert "Also called: gpt-image-1.5-beta" in text
    assert "1080p sent with a note (S2)" in describe_text(model("veo3.1-pro"), sources=True)
    assert "1080p sent with a note;" in describe_text(model("veo3.1-pro"))
    assert "required unless" in describe_text(model("kling-o3-text-to-video"))
    assert "    multi_shot boolean: default false" in describe_text(model("kling-o3-text-to-video"))


def test_what_files_should_be_like_is_told_as_advice() -> None:
    text = describe_text(model("gpt-image-2"))
    assert "each best max_mb 50, jpeg/jpg/png/webp" in text
    call = {"prompt": "x", "image_urls": ["https://example.com/a.bmp"]}
    assert registry().check("image", "gpt-image-2", call).problems == ()


@pytest.mark.parametrize("name", list(registry().models))
def test_what_agents_read_of_a_model_has_no_sources_and_no_callback(name: str) -> None:
    text, facts = describe_text(model(name)), json.dumps(describe_call(model(name)), ensure_ascii=False)
    for told in (text, facts):
        assert not re.search(r"\bS[0-4]\b|docs-|-table|\bdocs\b|callback_url|refuse\"", told)
    parameters = cast(dict[str, Any], describe_call(model(name)).get("parameters", {}))
    assert list(parameters) == [each for each in model(name).parameters if each != "callback_url"]


def test_what_is_warned_of_is_marked_for_agents_too() -> None:
    text = describe_text(model("gpt-image-2"))
    assert "Parameters (* required; ~ may be exceeded):" in text
    assert "1–60,000 bytes ~" in text
    assert "~" not in describe_text(model("mj-v7-pan"))
    assert cast(dict[str, Any], describe_call(model("gpt-image-1.5")))["parameters"]["prompt"]["warned"] == ["length"]
