"""Where the sources contradict each other: what was decided, by the number it has in the list of contradictions."""

import pytest

from tests.unit.registry.support import LINK, check, links, model, outcome, registry

P: dict[str, object] = {"prompt": "A fox"}
TWO, NINE = links(2), links(9)

# number, model, the call beside the prompt, the parameter looked at, what becomes of it
DECIDED: list[tuple[str, str, dict[str, object], str, str]] = [
    ("1", "gpt-4o-image", {"prompt": "x" * 1001}, "prompt", "refused"),
    ("1", "gpt-image-1.5", {"prompt": "x" * 1001}, "prompt", "sent"),
    ("2", "gpt-4o-image", {"n": 3}, "n", "refused"),
    ("2", "gpt-image-2", {"n": 5}, "n", "noted"),
    ("2", "gpt-image-2", {"n": 11}, "n", "refused"),
    ("2", "doubao-seedream-4.5", {"n": 15}, "n", "sent"),
    ("2", "doubao-seedream-4.5", {"n": 16}, "n", "refused"),
    ("2", "qwen-image-edit-plus", {"image_urls": TWO, "n": 6}, "n", "sent"),
    ("2", "qwen-image-edit-plus", {"image_urls": TWO, "n": 7}, "n", "refused"),
    ("2", "gemini-3-pro-image-preview", {"n": 2}, "n", "noted"),
    ("2", "gemini-3-pro-image-preview", {"n": 5}, "n", "refused"),
    ("2", "z-image-turbo", {"n": 4}, "n", "noted"),
    ("2", "doubao-seedream-3.0-t2i", {"n": 4}, "n", "sent"),
    ("2", "doubao-seedream-3.0-t2i", {"n": 9}, "n", "noted"),
    ("3", "gpt-4o-image", {"image_urls": links(6)}, "image_urls", "refused"),
    ("3", "gpt-image-2", {"image_urls": links(16)}, "image_urls", "sent"),
    ("3", "gpt-image-2", {"image_urls": links(17)}, "image_urls", "refused"),
    ("3", "gemini-3.1-flash-image-preview", {"image_urls": links(14)}, "image_urls", "sent"),
    ("3", "gemini-3.1-flash-image-preview", {"image_urls": links(15)}, "image_urls", "refused"),
    ("3", "gpt-image-1", {"image_urls": links(15)}, "image_urls", "noted"),
    ("3", "seedance-1.5-pro", {"image_urls": links(3)}, "image_urls", "refused"),
    ("4", "gpt-4o-image", {"mask_url": LINK, "image_urls": TWO}, "mask_url", "refused"),
    ("4", "gpt-image-2", {"mask_url": LINK, "image_urls": [LINK]}, "mask_url", "noted"),
    ("4", "gpt-image-1.5", {"mask_url": LINK}, "mask_url", "refused"),
    ("4", "gpt-image-1", {"mask_url": LINK}, "mask_url", "refused"),
    ("5", "gpt-image-1.5", {"size": "1536x1024"}, "size", "sent"),
    ("5", "gpt-image-1.5", {"size": "21:9"}, "size", "noted"),
    ("5", "gpt-image-1.5", {"size": "999:1"}, "size", "refused"),
    ("5", "gpt-image-1", {"size": "1024x1024"}, "size", "sent"),
    ("5", "z-image-turbo", {"size": "800x1200"}, "size", "sent"),
    ("5", "z-image-turbo", {"size": "2000x2000"}, "size", "refused"),
    ("5", "z-image-turbo", {"size": "21:9"}, "size", "noted"),
    ("5", "doubao-seedream-4.0", {"size": "1920x1080"}, "size", "sent"),
    ("5", "doubao-seedream-4.5", {"size": "1920x1080"}, "size", "refused"),
    ("5", "wan2.5-text-to-image", {"size": "1280x720"}, "size", "sent"),
    ("5", "wan2.5-text-to-image", {"size": "16:9"}, "size", "noted"),
    ("5", "wan2.5-text-to-image", {"size": "auto"}, "size", "refused"),
    ("7", "seedance-2.0", {}, "model", "refused"),
    ("7", "seedance-2.0-text-to-video", {}, "model", "sent"),
    ("8", "gpt-image-1.5", {"quality": "high"}, "quality", "sent"),
    ("8", "gpt-image-1.5", {"quality": "4K"}, "quality", "refused"),
    ("8", "gpt-image-1.5-lite", {"quality": "auto"}, "quality", "sent"),
    ("8", "gemini-3.1-flash-image-preview", {"quality": "0.5K"}, "quality", "sent"),
    ("8", "gemini-3-pro-image-preview", {"quality": "0.5K"}, "quality", "refused"),
    ("8", "doubao-seedream-4.5", {"quality": "1K"}, "quality", "refused"),
    ("8", "doubao-seedream-4.0", {"quality": "1K"}, "quality", "sent"),
    ("8", "MiniMax-Hailuo-02", {"quality": "512p", "image_urls": [LINK]}, "quality", "sent"),
    ("8", "MiniMax-Hailuo-2.3", {"quality": "720p"}, "quality", "refused"),
    ("8", "sora-2-pro", {"quality": "high"}, "quality", "sent"),
    ("8", "gpt-4o-image", {"quality": "high"}, "quality", "refused"),
    ("13", "seedance-1.5-pro", {"image_urls": TWO}, "image_urls", "sent"),
    ("13", "MiniMax-Hailuo-02", {"image_urls": TWO}, "image_urls", "sent"),
    ("13", "kling-o1-image-to-video", {"image_urls": TWO}, "image_urls", "sent"),
    ("13", "seedance-2.0-image-to-video", {"image_urls": TWO}, "image_urls", "sent"),
    ("13", "seedance-2.0-image-to-video", {"image_urls": links(3)}, "image_urls", "refused"),
    ("13", "veo3.1-pro", {"image_urls": TWO}, "image_urls", "sent"),
    ("13", "kling-v3-image-to-video", {"image_urls": TWO}, "image_urls", "noted"),
    ("13", "kling-o3-image-to-video", {"image_urls": TWO}, "image_urls", "noted"),
    ("13", "MiniMax-Hailuo-2.3", {"image_urls": TWO}, "image_urls", "refused"),
    ("14", "seedance-1.5-pro", {"generate_audio": True}, "generate_audio", "sent"),
    ("14", "veo-3.1-generate-preview", {"generate_audio": False}, "generate_audio", "sent"),
    ("14", "veo3.1-pro", {"generate_audio": True}, "generate_audio", "noted"),
    ("14", "kling-o3-text-to-video", {"generate_audio": True}, "generate_audio", "noted"),
    ("14", "kling-o3-text-to-video", {"sound": "on"}, "sound", "sent"),
    ("14", "MiniMax-Hailuo-2.3", {"generate_audio": True}, "generate_audio", "refused"),
    ("15", "wan2.5-image-to-video", {"image_urls": [LINK], "aspect_ratio": "16:9"}, "aspect_ratio", "noted"),
    ("15", "kling-v3-image-to-video", {"image_start": LINK, "aspect_ratio": "16:9"}, "aspect_ratio", "noted"),
    ("15", "kling-o3-text-to-video", {"aspect_ratio": "adaptive"}, "aspect_ratio", "noted"),
    ("15", "grok-imagine-text-to-video", {"aspect_ratio": "3:2"}, "aspect_ratio", "sent"),
    ("15", "seedance-1.5-pro", {"aspect_ratio": "3:2"}, "aspect_ratio", "refused"),
    ("16", "MiniMax-Hailuo-2.3-Fast", {}, "image_urls", "noted"),
    ("16", "MiniMax-Hailuo-2.3-Fast", {"image_urls": [LINK]}, "image_urls", "sent"),
    ("17", "sora-2-preview", {"quality": "1080p"}, "quality", "noted"),
    ("17", "veo3.1-pro", {"quality": "1080p"}, "quality", "noted"),
    ("17", "veo3.1-pro", {"quality": "4k"}, "quality", "refused"),
    ("17", "veo3.1-fast", {"quality": "720p"}, "quality", "sent"),
    ("17", "kling-o3-text-to-video", {"quality": "4k"}, "quality", "sent"),
    ("17", "kling-o3-reference-to-video", {"quality": "4k"}, "quality", "refused"),
    ("19", "seedance-1.5-pro", {"prompt": "x" * 2001}, "prompt", "noted"),
    ("19", "seedance-1.5-pro", {"prompt": "x" * 9000}, "prompt", "noted"),
    ("19", "gpt-image-1.5", {"prompt": "x" * 2001}, "prompt", "noted"),
    ("19", "seedance-2.0-text-to-video", {"prompt": "x" * 10001}, "prompt", "noted"),
    ("19", "MiniMax-Hailuo-2.3", {"prompt": "x" * 2001}, "prompt", "noted"),
    ("19", "kling-o3-text-to-video", {"prompt": "x" * 2501}, "prompt", "noted"),
    ("19", "wan2.6-text-to-video", {"prompt": "字" * 1500}, "prompt", "sent"),
    ("19", "wan2.6-text-to-video", {"prompt": "字" * 1501}, "prompt", "noted"),
    ("19", "z-image-turbo", {"prompt": "x" * 2001}, "prompt", "refused"),
    ("19", "gemini-2.5-flash-image", {"prompt": "x" * 1001}, "prompt", "noted"),
    ("19", "veo3", {"prompt": "x" * 5001}, "prompt", "noted"),
    ("25", "seedance-2.0-text-to-video", {"quality": "4k"}, "quality", "noted"),
    ("25", "seedance-2.0-text-to-video", {"aspect_ratio": "adaptive"}, "aspect_ratio", "sent"),
    ("25", "seedance-2.0-fast-text-to-video", {"quality": "1080p"}, "quality", "refused"),
    ("25", "gpt-image-1.5", {"n": 2}, "n", "noted"),
    ("25", "gpt-image-1.5", {"n": 5}, "n", "refused"),
    ("27", "gpt-image-2", {"n": 10}, "n", "noted"),
    ("27", "gpt-image-2", {"n": 1}, "n", "sent"),
    ("28", "gpt-image-2", {"size": "auto", "resolution": "2K"}, "resolution", "noted"),
    ("28", "gpt-image-2", {"size": "1:1", "resolution": "2K"}, "resolution", "sent"),
    ("29", "gemini-3-pro-image-preview", {"image_urls": TWO}, "image_urls", "sent"),
    ("29", "doubao-seedream-4.5", {"image_urls": TWO}, "image_urls", "sent"),
    ("29", "z-image-turbo", {"image_urls": TWO}, "image_urls", "refused"),
]


@pytest.mark.parametrize(
    ("name", "params", "parameter", "expected"),
    [row[1:] for row in DECIDED],
    ids=[f"no{number}-{name}-{parameter}" for number, name, _, parameter, _ in DECIDED],
)
def test_a_contradiction_is_settled(name: str, params: dict[str, object], parameter: str, expected: str) -> None:
    checked = check(name, P | params)
    assert outcome(checked, parameter) == expected, (checked.problems, checked.notes)
    if expected != "refused":
        assert checked.problems == ()


def test_no6_the_newest_image_model_is_listed_and_the_counts_are_computed() -> None:
    assert "gpt-image-2" in registry().models
    listed = [name for name in registry().names("image") if "S1" in model(name).sources]
    assert len(listed) == 20


def test_no7_the_placeholder_names_the_nine_models_it_stands_for() -> None:
    (problem,) = check("seedance-2.0", P).problems
    assert len(model("seedance-2.0").replacements) == 9
    assert all(name in problem.message for name in model("seedance-2.0").replacements)
    assert all(model(name).status == "active" for name in model("seedance-2.0").replacements)
    assert registry().nearest("seedance-2.0", count=9) == list(model("seedance-2.0").replacements)


def test_no15_nothing_is_sent_that_was_not_given() -> None:
    assert check("seedance-1.5-pro", P).params == P


def test_no18_assets_need_what_their_own_page_says_and_no_prompt() -> None:
    assert model("kling-custom-element").kind == model("sora-character").kind == "asset"
    assert outcome(check("kling-custom-element", P), "model_params") == "refused"
    assert outcome(check("sora-character", P), "video_url") == "noted"
    assert outcome(check("sora-character", P | {"video_url": LINK}), "prompt") == "noted"


@pytest.mark.parametrize("name", [name for name in registry().names("image") if "S1" in model(name).sources])
def test_no_call_that_the_image_table_allows_is_refused_for_its_size_or_n(name: str) -> None:
    """S1 gives every model it lists ten ratios and n from 1 to 4; only the model's own page (S4) may refuse them."""
    if name == "gpt-4o-image":
        return
    call = P | ({"image_urls": [LINK]} if "image_urls" in model(name).parameters else {})
    for size in "1:1 16:9 9:16 2:3 3:2 4:3 3:4 4:5 5:4 21:9".split():
        assert check(name, call | {"size": size}).problems == ()
    for n in range(1, 5):
        assert check(name, call | {"n": n}).problems == ()


@pytest.mark.parametrize("name", [name for name in registry().names("video") if model(name).kind == "video"])
def test_no_call_is_refused_for_an_aspect_ratio_of_the_video_table(name: str) -> None:
    """S2 gives seven ratios to every model it lists."""
    described = model(name)
    if described.status == "placeholder" or "S2" not in described.sources:
        return
    for ratio in "16:9 9:16 1:1 4:3 3:4 21:9 adaptive".split():
        assert check(name, dict(described.example) | {"aspect_ratio": ratio}).problems == ()
