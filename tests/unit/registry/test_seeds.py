"""What the reference documents S0 to S4 promise, whole: their examples, and every limit of S3 and S4."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.registry.support import LINK, check, links, outcome, refused

BOUNDED = settings(derandomize=True, deadline=None, max_examples=300, database=None)
CALLBACK = "https://your-domain.com/webhooks/image-task-completed"

SEED_CALLS: list[tuple[str, str, dict[str, object]]] = [
    (
        "S0 image",
        "gpt-image-2",
        {"prompt": "A futuristic city skyline", "size": "16:9", "resolution": "4K", "quality": "high", "n": 1},
    ),
    ("S0 python", "gpt-image-2", {"prompt": "A clean product poster", "size": "1:1", "quality": "high"}),
    (
        "S0 video",
        "seedance-2.0-text-to-video",
        {
            "prompt": "A green glass frog",
            "duration": 8,
            "quality": "720p",
            "aspect_ratio": "16:9",
            "generate_audio": True,
        },
    ),
    (
        "S3 fields",
        "gpt-image-2",
        {
            "prompt": "A beautiful colorful sunset over the ocean",
            "image_urls": ["https://example.com/image1.png", "https://example.com/image2.png"],
            "size": "auto",
            "quality": "medium",
            "n": 1,
            "callback_url": CALLBACK,
        },
    ),
    ("S4 curl", "gpt-4o-image", {"prompt": "A beautiful sunset over the ocean with vibrant colors"}),
    (
        "S4 fields",
        "gpt-4o-image",
        {"prompt": "A sunset", "size": "1024x1024", "n": 1, "image_urls": links(2), "callback_url": CALLBACK},
    ),
    ("S4 mask", "gpt-4o-image", {"prompt": "A hat", "image_urls": [LINK], "mask_url": "https://example.com/mask.png"}),
    ("S1 default", "gpt-image-1.5", {"prompt": "A cat", "size": "16:9", "n": 4, "image_urls": links(14)}),
    ("S2 default", "seedance-1.5-pro", {"prompt": "A cat"}),
    (
        "S2 first and last frame",
        "seedance-1.5-pro",
        {
            "prompt": "x" * 5000,
            "duration": 12,
            "quality": "1080p",
            "aspect_ratio": "adaptive",
            "image_urls": links(2),
            "generate_audio": False,
        },
    ),
]


@pytest.mark.parametrize(("name", "params"), [call[1:] for call in SEED_CALLS], ids=[call[0] for call in SEED_CALLS])
def test_a_call_of_the_seeds_passes(name: str, params: dict[str, object]) -> None:
    checked = check(name, params)
    assert checked.problems == ()
    assert checked.params == params


@pytest.mark.parametrize(("name", "first", "last"), [("seedance-1.5-pro", 4, 12), ("kling-o3-text-to-video", 3, 15)])
def test_s2_durations_of_named_models(name: str, first: int, last: int) -> None:
    for duration in range(0, 20):
        checked = check(name, {"prompt": "A fox", "duration": duration})
        assert refused(checked, "duration") is not (first <= duration <= last)


@pytest.mark.parametrize("quality", ["480p", "720p", "1080p", "4k", "2K"])
def test_s2_default_model_goes_up_to_1080p(quality: str) -> None:
    checked = check("seedance-1.5-pro", {"prompt": "A fox", "quality": quality})
    assert refused(checked, "quality") is (quality in ("4k", "2K"))


# S3, one limit after the other.

RATIOS = "1:1 1:2 2:1 1:3 3:1 2:3 3:2 3:4 4:3 4:5 5:4 9:16 16:9 9:21 21:9".split()


def newest(**params: object) -> dict[str, object]:
    return {"prompt": "A fox", **params}


@pytest.mark.parametrize("size", [*RATIOS, "auto"])
def test_s3_takes_fifteen_ratios_and_auto(size: str) -> None:
    assert len(RATIOS) == 15
    checked = check("gpt-image-2", newest(size=size))
    assert (checked.problems, checked.notes) == ((), ())


@pytest.mark.parametrize("size", ["1:4", "4:1", "16:10", "automatic", "", "square", "999:1"])
def test_s3_refuses_other_words_and_ratios(size: str) -> None:
    checked = check("gpt-image-2", newest(size=size))
    assert refused(checked, "size")
    assert "9:21" in checked.problems[0].allowed


@pytest.mark.parametrize(
    "size",
    ["1024x1024", "1536x1024", "3840x2160", "2160x3840", "3840x1280", "1280x3840", "2880x2880", "1024x640", "1408x480"],
)
def test_s3_takes_pixels_within_its_grammar(size: str) -> None:
    assert check("gpt-image-2", newest(size=size)).params["size"] == size
    with_sign = check("gpt-image-2", newest(size=size.replace("x", "×")))
    assert with_sign.problems == ()
    assert with_sign.params["size"] == size
    assert "size:" in with_sign.notes[0]


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ("1000x1000", "multiples of 16"),
        ("1024x1030", "multiples of 16"),
        ("3856x2144", "edges"),
        ("0x1024", "at least 1"),
        ("800x800", "640,000 pixels"),
        ("3840x2176", "8,355,840 pixels"),
        ("2896x2880", "8,340,480 pixels"),
        ("1616x528", "times the shorter"),
        ("528x1616", "times the shorter"),
        ("16x16", "256 pixels"),
    ],
)
def test_s3_says_what_is_wrong_with_pixels(size: str, reason: str) -> None:
    (problem,) = check("gpt-image-2", newest(size=size)).problems
    assert problem.parameter == "size"
    assert reason in problem.message
    assert "(S3)" in problem.message


@pytest.mark.parametrize("size", ["x", "9999999x16", "-16x16"])
def test_s3_refuses_what_is_no_size(size: str) -> None:
    assert refused(check("gpt-image-2", newest(size=size)), "size")


@BOUNDED
@given(st.integers(1, 4000), st.integers(1, 4000), st.sampled_from("x×"))
def test_s3_grammar_agrees_with_its_own_words(width: int, height: int, sign: str) -> None:
    right = (
        width % 16 == 0
        and height % 16 == 0
        and 16 <= min(width, height)
        and max(width, height) <= 3840
        and 655_360 <= width * height <= 8_294_400
        and max(width, height) <= 3 * min(width, height)
    )
    assert refused(check("gpt-image-2", newest(size=f"{width}{sign}{height}")), "size") is not right


@BOUNDED
@given(st.integers(1, 240), st.integers(1, 240))
def test_s3_grammar_agrees_on_multiples_of_sixteen(across: int, down: int) -> None:
    width, height = across * 16, down * 16
    right = 655_360 <= width * height <= 8_294_400 and max(width, height) <= 3 * min(width, height)
    checked = check("gpt-image-2", newest(size=f"{width}x{height}"))
    assert refused(checked, "size") is not right


@pytest.mark.parametrize("unit", ["x", "字", "🦊", "é"])
def test_s3_counts_code_points(unit: str) -> None:
    assert check("gpt-image-2", newest(prompt=unit * 32_000)).problems == ()
    (problem,) = check("gpt-image-2", newest(prompt=unit * 32_001)).problems
    assert (problem.parameter, problem.value, problem.source) == ("prompt", "32,001 characters", "S3")


def test_a_newer_limit_in_bytes_is_only_a_note() -> None:
    checked = check("gpt-image-2", newest(prompt="字" * 20_001))
    assert checked.problems == ()
    assert outcome(checked, "prompt") == "noted"
    assert check("gpt-image-2", newest(prompt="字" * 20_000)).notes == ()


@pytest.mark.parametrize("n", range(-1, 13))
def test_s3_makes_one_to_ten(n: int) -> None:
    assert refused(check("gpt-image-2", newest(n=n)), "n") is not (1 <= n <= 10)


@pytest.mark.parametrize("count", [0, 1, 16, 17])
def test_s3_takes_one_to_sixteen_references(count: int) -> None:
    assert refused(check("gpt-image-2", newest(image_urls=links(count))), "image_urls") is not (1 <= count <= 16)


@pytest.mark.parametrize(("given_as", "sent"), [("1k", "1K"), ("2K", "2K"), ("4k", "4K")])
def test_s3_resolution_is_case_insensitive(given_as: str, sent: str) -> None:
    checked = check("gpt-image-2", newest(size="1:1", resolution=given_as))
    assert checked.problems == ()
    assert checked.params["resolution"] == sent
    assert len(checked.notes) == (given_as != sent)


@pytest.mark.parametrize("resolution", ["8K", "3k", "720p", ""])
def test_s3_resolution_has_three_tiers(resolution: str) -> None:
    assert refused(check("gpt-image-2", newest(size="1:1", resolution=resolution)), "resolution")


@pytest.mark.parametrize("size", ["1024x1024", "1024×1024", "auto", None])
def test_s3_resolution_has_no_effect_without_a_ratio(size: str | None) -> None:
    assert outcome(check("gpt-image-2", newest(size=size, resolution="4K")), "resolution") == "noted"


@pytest.mark.parametrize("ratio", RATIOS)
def test_s3_resolution_counts_with_a_ratio(ratio: str) -> None:
    assert check("gpt-image-2", newest(size=ratio, resolution="4K")).notes == ()


@pytest.mark.parametrize(("quality", "right"), [("low", True), ("medium", True), ("high", True), ("4K", False)])
def test_s3_quality_is_rendering_effort(quality: str, right: bool) -> None:
    assert refused(check("gpt-image-2", newest(quality=quality)), "quality") is not right


# S4, one limit after the other.

SIZES = ["1:1", "2:3", "3:2", "1024x1024", "1024x1536", "1536x1024"]


@pytest.mark.parametrize("unit", ["x", "字", "🦊"])
def test_s4_prompt_has_a_thousand_characters(unit: str) -> None:
    assert check("gpt-4o-image", {"prompt": unit * 1000}).problems == ()
    (problem,) = check("gpt-4o-image", {"prompt": unit * 1001}).problems
    assert (problem.parameter, problem.source) == ("prompt", "S4")


@pytest.mark.parametrize("n", range(6))
def test_s4_makes_one_two_or_four(n: int) -> None:
    checked = check("gpt-4o-image", newest(n=n))
    assert refused(checked, "n") is not (n in (1, 2, 4))
    if n == 3:
        assert checked.problems[0].allowed == "1, 2, 4"


@pytest.mark.parametrize("size", [*SIZES, "16:9", "9:16", "4:3", "auto", "1536x1536"])
def test_s4_has_six_sizes(size: str) -> None:
    assert refused(check("gpt-4o-image", newest(size=size)), "size") is not (size in SIZES)


@pytest.mark.parametrize("count", range(8))
def test_s4_takes_five_references(count: int) -> None:
    assert refused(check("gpt-4o-image", newest(image_urls=links(count))), "image_urls") is not (count <= 5)


@pytest.mark.parametrize(("count", "right"), [(1, True), (2, False), (5, False)])
def test_s4_mask_takes_at_most_one_reference(count: int, right: bool) -> None:
    checked = check("gpt-4o-image", newest(image_urls=links(count), mask_url=LINK))
    assert refused(checked, "mask_url") is not right


@pytest.mark.parametrize("parameter", ["quality", "resolution", "seed", "background"])
def test_s4_takes_nothing_else(parameter: str) -> None:
    assert refused(check("gpt-4o-image", newest(**{parameter: "high"})), parameter)
