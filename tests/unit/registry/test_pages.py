"""Figures of the models' own pages, typed here a second time: a slip in the data is a slip twice."""

import pytest

from tests.unit.registry.support import LINK, bare_call, check, links, model, outcome, refused

# Each: the values that are right, and some that are refused.
DURATIONS: dict[str, tuple[list[int], list[int]]] = {
    "seedance-2.0-text-to-video": ([4, 15], [3, 16]),
    "seedance-2.0-mini-reference-to-video": ([4, 15], [3, 16]),
    "doubao-seedance-1.0-pro-fast": ([2, 12], [1, 13]),
    "kling-o3-image-to-video": ([3, 15], [2, 16]),
    "kling-o3-reference-to-video": ([3, 10], [2, 11]),
    "kling-v3-image-to-video": ([3, 15], [2, 16]),
    "kling-o1-image-to-video": ([5, 10], [4, 6, 15]),
    "veo-3.1-generate-preview": ([4, 6, 8], [5, 10]),
    "MiniMax-Hailuo-02": ([6, 10], [5, 8]),
    "wan2.6-text-to-video": ([2, 15], [1, 16]),
    "wan2.6-reference-video": ([2, 10], [1, 11]),
    "grok-imagine-text-to-video": ([6, 30], [5, 31]),
}
QUALITIES: dict[str, tuple[list[str], list[str]]] = {
    "seedance-2.0-text-to-video": (["480p", "720p", "1080p", "4k"], ["8k"]),
    "seedance-2.0-fast-image-to-video": (["480p", "720p"], ["1080p", "4k"]),
    "kling-v3-text-to-video": (["720p", "1080p", "4k"], ["480p"]),
    "kling-o3-video-edit": (["720p", "1080p"], ["4k"]),
    "MiniMax-Hailuo-2.3": (["768p", "1080p"], ["512p", "720p"]),
    "veo-3.1-fast-generate-preview": (["720p", "1080p", "4k"], ["480p"]),
    "sora-2-pro-preview": (["720p", "1080p"], ["4k", "high"]),
    "wan2.6-image-to-video": (["720p", "1080p"], ["2K"]),
    "grok-imagine-image-to-video": (["480p", "720p"], ["1080p"]),
    "gemini-3.1-flash-image-preview": (["0.5K", "1K", "2K", "4K"], ["8k", "high"]),
    "doubao-seedream-4.5": (["2K", "4K"], ["1K"]),
}
LISTS: dict[str, tuple[str, int, int]] = {
    "gpt-image-1.5": ("image_urls", 1, 16),
    "gemini-3-pro-image-preview": ("image_urls", 0, 14),
    "doubao-seedream-4.0": ("image_urls", 0, 14),
    "qwen-image-edit-plus": ("image_urls", 1, 3),
    "wan2.5-image-to-image": ("image_urls", 1, 2),
    "seedance-2.0-image-to-video": ("image_urls", 1, 2),
    "seedance-2.0-reference-to-video": ("video_urls", 0, 3),
    "doubao-seedance-1.0-pro-fast": ("image_urls", 0, 1),
    "kling-o1-video-edit": ("image_urls", 1, 4),
    "kling-o1-video-edit-fast": ("video_urls", 1, 1),
    "veo-3.1-generate-preview": ("image_urls", 0, 3),
    "veo3.1-pro": ("image_urls", 0, 2),
    "veo3.1-fast": ("image_urls", 0, 3),
    "MiniMax-Hailuo-02": ("image_urls", 0, 2),
    "wan2.6-reference-video": ("video_urls", 1, 3),
    "grok-imagine-image-to-video": ("image_urls", 1, 7),
    "omnihuman-1.5": ("image_urls", 1, 1),
}
PROMPTS = {
    "z-image-turbo": 2000,
    "kling-o3-video-edit": 2500,
    "kling-v3-image-to-video": 2500,
    "kling-o1-video-edit": 5000,
    "MiniMax-Hailuo-2.3-Fast": 2000,
    "wan2.6-reference-video": 1500,
}
NEEDS = {
    "qwen-image-edit": "image_urls",
    "wan2.5-image-to-image": "image_urls",
    "seedance-2.0-fast-image-to-video": "image_urls",
    "kling-v3-image-to-video": "image_start",
    "kling-o1-image-to-video": "image_urls",
    "kling-o1-video-edit": "video_urls",
    "kling-custom-element": "model_params",
    "wan2.5-image-to-video": "image_urls",
    "wan2.6-reference-video": "video_urls",
    "grok-imagine-image-to-video": "image_urls",
    "omnihuman-1.5": "audio_url",
}
# Inputs a model makes nothing of, though its brothers do.
STRANGERS = [
    ("z-image-turbo", "image_urls"),
    ("wan2.5-text-to-image", "image_urls"),
    ("seedance-2.0-text-to-video", "image_urls"),
    ("seedance-2.0-image-to-video", "video_urls"),
    ("kling-v3-text-to-video", "image_start"),
    ("wan2.5-text-to-video", "image_urls"),
    ("wan2.6-reference-video", "audio_url"),
    ("grok-imagine-text-to-video", "image_urls"),
    ("gemini-3-pro-image-preview", "resolution"),
    ("kling-custom-element", "image_urls"),
]


@pytest.mark.parametrize("name", DURATIONS)
def test_durations(name: str) -> None:
    right, wrong = DURATIONS[name]
    assert not any(refused(check(name, bare_call(name) | {"duration": value}), "duration") for value in right)
    assert all(refused(check(name, bare_call(name) | {"duration": value}), "duration") for value in wrong)


@pytest.mark.parametrize("name", QUALITIES)
def test_qualities(name: str) -> None:
    right, wrong = QUALITIES[name]
    assert not any(refused(check(name, bare_call(name) | {"quality": value}), "quality") for value in right)
    assert all(refused(check(name, bare_call(name) | {"quality": value}), "quality") for value in wrong)


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_links(name: str) -> None:
    parameter, low, high = LISTS[name]
    for count in range(high + 3):
        checked = check(name, bare_call(name) | {parameter: links(count)})
        assert refused(checked, parameter) is not (low <= count <= high), count


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_documented_in_characters(name: str) -> None:
    limit = PROMPTS[name]
    wider = model(name).endpoint == "video" and limit < 5000
    beyond = [(limit + 1, "noted"), (5000, "noted"), (5001, "refused")] if wider else [(limit + 1, "refused")]
    for length, expected in [(limit, "sent"), *beyond]:
        assert outcome(check(name, bare_call(name) | {"prompt": "字" * length}), "prompt") == expected


@pytest.mark.parametrize("name", NEEDS)
def test_inputs_a_model_cannot_do_without(name: str) -> None:
    call = {key: value for key, value in model(name).example.items() if key != NEEDS[name]}
    assert refused(check(name, call), NEEDS[name])


@pytest.mark.parametrize(("name", "parameter"), STRANGERS)
def test_inputs_a_model_makes_nothing_of(name: str, parameter: str) -> None:
    value = LINK if parameter.endswith(("_url", "_start")) else [LINK] if parameter != "resolution" else "4K"
    assert refused(check(name, dict(model(name).example) | {parameter: value}), parameter)
