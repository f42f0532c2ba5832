"""Which models there are, and what is said of them."""

import re
from pathlib import Path

import pytest

import evolink_mcp
from tests.unit.registry.support import callable_models, check, model, registry

# The names of S1 and S2 as they stand there, with the group they stand in.
S1_STABLE = """
gpt-image-1.5 gpt-image-1 gemini-3.1-flash-image-preview gemini-3-pro-image-preview z-image-turbo doubao-seedream-4.5
doubao-seedream-4.0 doubao-seedream-3.0-t2i doubao-seededit-4.0-i2i doubao-seededit-3.0-i2i qwen-image-edit
qwen-image-edit-plus wan2.5-t2i-preview wan2.5-i2i-preview wan2.5-text-to-image wan2.5-image-to-image
""".split()
S1_BETA = "gpt-image-1.5-lite gpt-4o-image gemini-2.5-flash-image nano-banana-2-lite".split()
S2_STABLE = """
seedance-1.5-pro seedance-2.0 doubao-seedance-1.0-pro-fast sora-2-preview kling-o3-text-to-video kling-o3-image-to-video
kling-o3-reference-to-video kling-o3-video-edit kling-v3-text-to-video kling-v3-image-to-video kling-o1-image-to-video
kling-o1-video-edit kling-o1-video-edit-fast kling-custom-element veo-3.1-generate-preview veo-3.1-fast-generate-preview
MiniMax-Hailuo-2.3 MiniMax-Hailuo-2.3-Fast MiniMax-Hailuo-02 wan2.5-t2v-preview wan2.5-i2v-preview wan2.5-text-to-video
wan2.5-image-to-video wan2.6-text-to-video wan2.6-image-to-video wan2.6-reference-video
""".split()
S2_BETA = """
sora-2 sora-2-pro sora-2-beta-max sora-character veo3.1-pro veo3.1-fast veo3.1-fast-extend veo3 veo3-fast
grok-imagine-text-to-video grok-imagine-image-to-video
""".split()
SEEDANCE_2 = [
    f"seedance-2.0-{tier}{mode}-to-video" for tier in ("", "fast-", "mini-") for mode in ("text", "image", "reference")
]
NAME_ONLY = {
    *("doubao-seedream-3.0-t2i", "doubao-seededit-4.0-i2i", "doubao-seededit-3.0-i2i"),
    *("wan2.5-t2i-preview", "wan2.5-i2i-preview", "wan2.5-t2v-preview", "wan2.5-i2v-preview", "veo3", "veo3-fast"),
}


def test_the_tables_count_what_their_headings_say() -> None:
    assert (len(S1_STABLE) + len(S1_BETA), len(S2_STABLE), len(S2_BETA)) == (20, 26, 11)


@pytest.mark.parametrize("name", [*S1_STABLE, *S1_BETA, "gpt-image-2"])
def test_an_image_model_of_the_seeds_is_listed(name: str) -> None:
    assert model(name).id == name
    assert (model(name).kind, model(name).beta) == ("image", name in S1_BETA)
    assert name in registry().names("image")


@pytest.mark.parametrize("name", [*S2_STABLE, *S2_BETA, *SEEDANCE_2])
def test_a_video_model_of_the_seeds_is_listed(name: str) -> None:
    assert model(name).id == name
    assert (model(name).endpoint, model(name).beta) == ("video", name in S2_BETA)
    assert name in registry().names("video")


def test_models_stand_in_the_order_of_the_tables() -> None:
    names = registry().names()
    assert names[:20] == [*S1_STABLE, *S1_BETA]
    assert registry().names("video")[: len(S2_STABLE + S2_BETA)] == [*S2_STABLE, *S2_BETA]
    assert names == [name for kind in ("image", "video", "audio") for name in registry().names(kind)]


def test_assets_are_told_from_videos() -> None:
    assert {"kling-custom-element", "sora-character", "suno-persona"} <= {*registry().names("asset")}
    assert model("kling-custom-element").capabilities == ("create-element",)
    assert model("sora-character").capabilities == ("create-character",)


def test_statuses_say_how_much_is_known() -> None:
    by_status = {
        status: {one.id for one in registry().models.values() if one.status == status}
        for status in ("placeholder", "name-only", "legacy")
    }
    assert "seedance-2.0" in by_status["placeholder"]
    assert by_status["name-only"] >= NAME_ONLY
    assert {"gpt-image-1", "gpt-4o-image", "sora-2", "sora-character"} <= by_status["legacy"]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("suno-v6-beta", "suno-v6"),
        ("gpt-image-1.5-lite", "gpt-image-1.5-beta"),
    ],
)
def test_a_renamed_model_answers_to_both_names(name: str, other: str) -> None:
    assert model(other) is model(name)
    assert check(other, model(name).example).problems == ()


@pytest.mark.parametrize("name", ["nano-banana-3-beta", "sora-2-pro-beta", "GPT-IMAGE-2", ""])
def test_names_that_only_resemble_a_model_are_not_taken_for_it(name: str) -> None:
    assert registry().get(name) is None


@pytest.mark.parametrize("name", callable_models())
def test_every_example_passes_without_a_note(name: str) -> None:
    described = model(name)
    assert described.example
    checked = registry().check(described.endpoint, name, described.example)
    assert (checked.problems, checked.notes) == ((), ())
    assert checked.params == dict(described.example)


@pytest.mark.parametrize("name", list(registry().models))
def test_every_model_is_described_in_a_sentence(name: str) -> None:
    described = model(name)
    assert re.fullmatch(r"[A-Z].{15,120}\.", described.description)
    assert described.provider
    assert described.sources
    assert set(described.sources) <= set(registry().sources)
    assert described.capabilities or described.status == "placeholder"


def test_no_code_knows_a_model_by_name() -> None:
    root = Path(evolink_mcp.__file__).parent
    aliases = [alias for one in registry().models.values() for alias in one.aliases]
    names = sorted([*registry().models, *aliases], key=len, reverse=True)
    known = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, names))})(?![\w-])")
    for path in root.rglob("*.py"):
        if "sandbox" in path.relative_to(root).parts:
            continue
        found = known.search(path.read_text(encoding="utf-8"))
        assert not found, f"{path}: {found and found[0]}"
