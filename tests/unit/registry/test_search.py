"""Finding a model by what can be remembered of it."""

from typing import Any

import pytest

from tests.unit.registry.support import callable_models, model, registry

QUALIFIERS = {"fast", "audio", "multi-shot"}


def found(**filters: Any) -> list[str]:
    """The ids of the models that a search finds, in its order."""
    return [match.model.id for match in registry().search(**filters).matches]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gpt-image2", "gpt-image-2"),
        ("GPT-IMAGE-2", "gpt-image-2"),
        ("gpt_image_1.5", "gpt-image-1.5"),
        ("seedance1.5pro", "seedance-1.5-pro"),
        ("veo3.1-fast-betta", "veo3.1-fast-beta"),
        ("kling o3 text to video", "kling-o3-text-to-video"),
        ("hailuo-2.3", "MiniMax-Hailuo-2.3"),
        ("sora2", "sora-2"),
    ],
)
def test_the_nearest_name_is_the_one_meant(typed: str, meant: str) -> None:
    near = registry().nearest(typed)
    assert near[0] == meant
    assert len(near) == 3


@pytest.mark.parametrize("kind", ["image", "video"])
@pytest.mark.parametrize("typed", ["zzz", "brand-new-1", ""])
def test_where_no_name_is_near_the_default_and_active_models_stand_in(kind: str, typed: str) -> None:
    near = registry().nearest(typed, kind=kind)
    assert near[0] == registry().defaults[kind]
    assert [model(name).status for name in near] == ["active"] * 3


def test_of_names_equally_near_the_active_one_comes_first() -> None:
    assert registry().nearest("gpt-image")[0] == "gpt-image-2"
    assert registry().nearest("sora 2 preview")[0] == "sora-2-preview"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("nano-banana", "gemini-3.1-flash-image-preview"),
        ("Nano Banana Pro", "nano-banana-pro-beta"),
        ("artistic look", "krea-2-turbo"),
        ("midjourney", "mj-v8.2"),
    ],
)
def test_a_name_only_a_description_or_provider_tells_is_near(typed: str, expected: str) -> None:
    assert expected in registry().nearest(typed)


def test_nearest_names_can_be_called_and_are_of_the_kind_asked_for() -> None:
    assert "seedance-2.0" not in registry().nearest("seedance-2.0x", count=20)
    assert set(registry().nearest("seedance", kind="image")) <= set(registry().names("image"))
    assert len(registry().nearest("", count=5)) == 5


def test_a_placeholder_is_nearest_to_the_models_it_stands_for() -> None:
    assert registry().nearest("seedance-2.0") == list(model("seedance-2.0").replacements[:3])


@pytest.mark.parametrize("kind", ["image", "video"])
def test_a_kind_takes_in_all_behind_its_endpoint(kind: str) -> None:
    assert found(kind=kind) == registry().names(kind)


@pytest.mark.parametrize(
    ("capability", "member", "stranger"),
    [
        ("image-editing", "qwen-image-edit", "z-image-turbo"),
        ("i2i", "qwen-image-edit", "z-image-turbo"),
        ("mask", "gpt-4o-image", "gpt-image-2"),
        ("First Last Frame", "seedance-1.5-pro", "sora-2"),
        ("t2v", "seedance-1.5-pro", "kling-o1-image-to-video"),
        ("create_character", "sora-character", "kling-custom-element"),
    ],
)
def test_models_are_found_by_capability(capability: str, member: str, stranger: str) -> None:
    names = found(capability=capability)
    assert member in names
    assert stranger not in names


def test_of_several_capabilities_a_model_has_all() -> None:
    names = found(capability=["first-last-frame", "sound", "t2v"])
    assert "seedance-1.5-pro" in names
    assert all({"first-last-frame", "audio", "text-to-video"} <= {*model(name).capabilities} for name in names)


def test_no_model_can_do_what_nobody_can() -> None:
    assert found(capability="teleport") == []
    assert found(query="zzzz") == []


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("gpt-image-2", "gpt-image-2"),
        ("veo3.1-pro-beta", "veo3.1-pro-beta"),
        ("kling edit fast", "kling-o1-video-edit-fast"),
        ("avatar", "omnihuman-1.5"),
        ("OpenAI mask", "gpt-image-2.5-flare"),
        ("speak or sing", "omnihuman-1.5"),
    ],
)
def test_a_query_finds_the_best_match_first(query: str, first: str) -> None:
    assert found(query=query)[0] == first


def test_filters_go_together() -> None:
    names = found(kind="video", capability="first-last-frame", query="google")
    assert names
    assert all(model(name).provider == "Google" and "first-last-frame" in model(name).capabilities for name in names)


@pytest.mark.parametrize("name", callable_models())
def test_alternatives_can_do_the_same_and_are_never_the_model_itself(name: str) -> None:
    described = model(name)
    names = registry().alternatives(name, 5)
    assert name not in names
    others = [model(other) for other in names]
    assert all(({*other.capabilities} & {*described.capabilities}) - QUALIFIERS for other in others)
    assert all(other.endpoint == described.endpoint and other.status != "placeholder" for other in others)
    rest = [other.status for other in others if other.id not in described.replacements]
    assert rest == sorted(rest)


@pytest.mark.parametrize("name", [n for n in callable_models() if model(n).replacements])
def test_what_replaces_a_model_comes_first(name: str) -> None:
    assert registry().alternatives(name)[0] in model(name).replacements


def test_there_is_no_alternative_to_nothing() -> None:
    assert registry().alternatives("no-such-model") == []
    assert registry().alternatives("seedance-2.0", 2) == list(model("seedance-2.0").replacements[:2])
    assert registry().alternatives("gpt-image-1.5-beta") == registry().alternatives("gpt-image-1.5-lite")
