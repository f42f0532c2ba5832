"""A link whose ending says that it is of the wrong kind is refused before it is paid for."""

from __future__ import annotations

import pytest

from evolink_mcp.registry import Parameter
from evolink_mcp.registry.files import check_link
from tests.unit.registry.support import callable_models, model, registry

WRONG = {"image": ["mp4", "mov", "mp3", "wav"], "video": ["png", "jpg", "mp3"], "audio": ["png", "webp"]}
PLACES = {
    "image_urls": "image",
    "image_start": "image",
    "video_urls": "video",
    "video_url": "video",
    "audio_url": "audio",
}


def places() -> list[tuple[str, str, str]]:
    """Each model and the first of its parameters for a picture, a film and a sound."""
    return [
        (name, place, kind)
        for name in callable_models()
        for place, kind in PLACES.items()
        if place in model(name).example and {"url", "url-list"} & {*model(name).parameters[place].types}
    ]


def answer(name: str, place: str, link: str) -> tuple[str, str]:
    """The problems and the notes about a link in this place of a model's example."""
    one = model(name)
    example = dict(one.example)
    example[place] = link if isinstance(example[place], str) else [link]
    checked = registry().check(one.endpoint, name, example)
    return " ".join(problem.message for problem in checked.problems), " ".join(checked.notes)


@pytest.mark.parametrize(("name", "place", "kind"), places())
def test_a_link_of_another_kind_is_refused(name: str, place: str, kind: str) -> None:
    for ending in WRONG[kind]:
        problems, _ = answer(name, place, f"https://example.com/a%20b.{ending.upper()}#t=1")
        assert f"the link ends in .{ending}, which is" in problems, problems
    problems, notes = answer(name, place, "https://example.com/files/4711")
    assert not problems
    assert "the link" not in notes


def test_a_link_with_a_query_is_only_warned_of() -> None:
    """It may be a frame of the film, made by whoever serves it."""
    problems, notes = answer("seedance-2.5-image-to-video", "image_urls", "https://example.com/a.mp4?snapshot=1s")
    assert not problems
    assert "image_urls[0]: the link ends in .mp4, which is a film; allowed: a picture" in notes


def test_a_format_that_is_not_taken_is_warned_of_and_a_page_is_nothing_known() -> None:
    problems, notes = answer("gemini-omni-1.1-flash-video-edit", "video_urls", "https://example.com/a.mov")
    assert not problems
    assert "video_urls[0]: the link ends in .mov; allowed: mp4" in notes
    for link in ("https://example.com/a.php", "https://films.mov", "https://example.com/mp4", "https://films.mov/"):
        problems, notes = answer("seedance-2.5-image-to-video", "image_urls", link)
        assert not problems
        assert "the link" not in notes


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("data:video/mp4;base64,AAAA", "the data URL is video/mp4, which is a film; allowed: a picture"),
        ("data:audio/mpeg,AAAA", "the data URL is audio/mpeg, which is a sound; allowed: a picture"),
        ("data:image/jpg;base64,AAAA", ""),
        ("data:;base64,AAAA", ""),
        ("data:text/plain,AAAA", ""),
    ],
)
def test_a_data_url_is_judged_by_its_type(link: str, text: str) -> None:
    from evolink_mcp.registry.report import Report

    report = Report("x", {})
    check_link(Parameter("image_urls", ("url-list",), "docs", "refuse"), link, "image_urls[0]", report)
    assert [problem.message for problem in report.problems] == ([f"image_urls[0]: {text} (docs)."] if text else [])
