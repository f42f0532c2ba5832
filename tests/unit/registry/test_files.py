"""A local file against its parameter: wrong kinds are refused, other limits held as their source holds them."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from evolink_mcp.registry import FileFacts, judges_shape
from evolink_mcp.registry.files import FORMATS
from tests.unit.registry.support import registry

LINK = "https://local.invalid/0123"
OTHER = "https://local.invalid/4567"
MB = 1024 * 1024
PNG = FileFacts("image/png", 1000, 512, 512, has_alpha=False)
FILM = FileFacts("video/mp4", 1000, 1280, 720, seconds=5.0, frame_rate=24.0)
SOUND = FileFacts("audio/mpeg", 1000, seconds=5.0)


def judged(model: str, name: str, facts: FileFacts, **more: object) -> tuple[list[str], list[str]]:
    """What is refused and what is noted of a file in a parameter."""
    described = registry().models[model]
    value: object = [LINK] if "url-list" in described.parameters[name].types else LINK
    checked = registry().check(described.endpoint, model, {"prompt": "x", name: value, **more}, {LINK: facts})
    refused = [each.message for each in checked.problems if "the file" in each.message]
    return refused, [note for note in checked.notes if "the file" in note]


@pytest.mark.parametrize(
    ("model", "name", "facts", "said"),
    [
        ("gpt-image-1.5", "image_urls", SOUND, "a sound; allowed: a picture"),
        ("gpt-image-1.5", "image_urls", FILM, "a film; allowed: a picture"),
        ("gpt-image-1", "image_urls", FILM, "a film; allowed: a picture"),  # its table only warns of other limits
        ("gpt-4o-image", "mask_url", FILM, "a film; allowed: a picture"),
        ("seedance-2.0-reference-to-video", "video_urls", PNG, "a picture; allowed: a film"),
        ("seedance-2.0-reference-to-video", "audio_urls", FILM, "a film; allowed: a sound"),
        ("omnihuman-1.5", "audio_url", PNG, "a picture; allowed: a sound"),
        ("omnihuman-1.5", "mask_url", SOUND, "a sound; allowed: a picture"),  # told by its name alone
    ],
)
def test_a_file_of_the_wrong_kind_is_refused_whatever_the_source(
    model: str, name: str, facts: FileFacts, said: str
) -> None:
    (problem,), notes = judged(model, name, facts)
    assert said in problem
    assert problem.startswith(f"{name}")
    assert notes == []


@pytest.mark.parametrize(
    ("model", "name", "facts", "said"),
    [
        ("gpt-4o-image", "mask_url", replace(PNG, mime_type="image/jpeg"), "the file is jpeg; allowed: png"),
        ("gpt-4o-image", "image_urls", replace(PNG, size=10 * MB + 1), "10.0 MB; allowed: 10 MB"),
        ("gpt-image-1.5", "image_urls", replace(PNG, size=60 * MB), "60.0 MB; allowed: 50 MB"),
        ("gpt-image-1.5", "image_urls", replace(PNG, mime_type="image/gif"), "the file is gif"),
        ("seedance-1.5-pro", "image_urls", replace(PNG, width=299), "299 × 512 pixels; allowed: 300–6000"),
        ("seedance-1.5-pro", "image_urls", replace(PNG, width=2000), "width / height is 3.91; allowed: 0.4–2.5"),
        ("gpt-image-2", "image_urls", replace(PNG, width=30_000), "allowed: at most 23,170"),
        ("seedance-2.0-reference-to-video", "video_urls", replace(FILM, seconds=1.0), "1.0 s; allowed: 2–15 s"),
        ("seedance-2.0-reference-to-video", "video_urls", replace(FILM, width=400, height=400), "160,000 in all"),
        ("omnihuman-1.5", "audio_url", replace(SOUND, seconds=36.0), "36.0 s; allowed: at most 35 s"),
        ("omnihuman-1.5", "audio_url", replace(SOUND, mime_type="audio/mp4"), "the file is mp4; allowed: mp3, wav"),
    ],
)
def test_format_weight_and_shape_are_refused_where_the_source_refuses(
    model: str, name: str, facts: FileFacts, said: str
) -> None:
    refused, _ = judged(model, name, facts)
    assert any(said in each for each in refused), refused


def test_the_same_is_only_noted_where_the_source_warns() -> None:
    refused, (note,) = judged("gpt-image-1", "image_urls", replace(PNG, size=5 * MB))
    assert refused == []
    assert "allowed: 4 MB" in note
    assert "sent as given" in note


@pytest.mark.parametrize(
    ("model", "name", "facts"),
    [
        ("gpt-image-1.5", "image_urls", PNG),
        ("gpt-image-1.5", "image_urls", replace(PNG, size=50 * MB)),
        ("seedance-1.5-pro", "image_urls", PNG),
        ("seedance-1.5-pro", "image_urls", FileFacts("image/png", 1000)),  # its shape is not known
        ("seedance-2.0-reference-to-video", "video_urls", replace(FILM, seconds=15.4)),
        ("omnihuman-1.5", "audio_url", SOUND),
    ],
)
def test_a_file_that_fits_passes_without_a_word(model: str, name: str, facts: FileFacts) -> None:
    assert judged(model, name, facts) == ([], [])


def test_the_seconds_of_all_files_together_are_bounded() -> None:
    name, model = "video_urls", "seedance-2.0-reference-to-video"
    long = replace(FILM, seconds=9.0)
    checked = registry().check("video", model, {"prompt": "x", name: [LINK, OTHER]}, {LINK: long, OTHER: long})
    (problem,) = checked.problems
    assert "18.0 s together; allowed: 15 s" in problem.message


@pytest.mark.parametrize(("alpha", "passes"), [(True, False), (False, True), (None, True)])
def test_transparency_is_judged_where_it_is_known(alpha: bool | None, passes: bool) -> None:
    facts = replace(PNG, has_alpha=alpha)
    refused, notes = judged("wan2.5-image-to-video", "image_urls", facts)
    assert (not refused and not notes) == passes


def test_shapes_matter_to_some_models_only() -> None:
    assert judges_shape(registry().get("seedance-1.5-pro"))
    assert not judges_shape(registry().get("gpt-image-1.5"))
    assert not judges_shape(None)


def test_every_format_of_the_data_is_known_or_a_document() -> None:
    documents = {"docx", "doc", "xlsx", "xls", "pptx", "ppt", "pdf", "txt", "key", "pages", "numbers", "md"}
    for model in registry().models.values():
        for parameter in model.parameters.values():
            for each in cast("tuple[str, ...]", parameter.item.get("formats", ())):
                assert each.split()[0] in FORMATS.keys() | documents
