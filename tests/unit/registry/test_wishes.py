"""Wishes in plain words, and the models that are right answers to them."""

import fnmatch
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from evolink_mcp.registry.matching import MAX_MATCHES, NO_SPEEDS, Matches
from evolink_mcp.registry.recipes import of_model, recipes
from evolink_mcp.registry.traits import Traits
from evolink_mcp.registry.wishes import words
from tests.unit.registry.support import callable_models, model, registry

DATA: dict[str, Any] = tomllib.loads((Path(__file__).parents[2] / "data" / "wishes.toml").read_text(encoding="utf-8"))
WISHES: dict[str, list[str]] = DATA["wish"]
NOBODY: dict[str, dict[str, Any]] = DATA["nobody"]


def search(query: str, **more: Any) -> Matches:
    return registry().search(query=query, **more)


def names(found: Matches) -> list[str]:
    return [match.model.id for match in found.matches]


def right(query: str) -> bool:
    return any(fnmatch.fnmatch(name, each) for name in names(search(query))[:3] for each in WISHES[query])


def test_nine_of_ten_wishes_have_a_right_answer_among_the_first_three() -> None:
    assert len(WISHES) >= 60
    missed = [wish for wish in WISHES if not right(wish)]
    assert len(missed) <= len(WISHES) / 10, missed


@pytest.mark.parametrize("wish", [*WISHES, *NOBODY])
def test_no_wish_lists_more_than_ten_models_and_each_has_a_reason(wish: str) -> None:
    found = search(wish)
    assert 0 < len(found.matches) <= MAX_MATCHES
    assert len({*names(found)}) == len(found.matches)


@pytest.mark.parametrize("wish", NOBODY)
def test_a_wish_that_no_model_fits_is_told_so_with_what_comes_nearest(wish: str) -> None:
    found = search(wish)
    assert NOBODY[wish]["says"].lower() in " ".join(found.notes).lower()
    assert any(fnmatch.fnmatch(name, each) for name in names(found)[:3] for each in NOBODY[wish]["nearest"])


def test_a_model_that_lacks_something_is_shown_with_what_it_lacks() -> None:
    found = search("kling 30 seconds text to video")
    assert all("30 s" in match.lacks for match in found.matches)
    assert "The longest make 15 s" in found.notes[0]


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("not veo", "*veo*"), ("video, no sora", "sora*"), ("anything but sora, 10s video with sound", "sora*"),
        ("text to video without kling", "kling*"), ("any model but veo", "*veo*"),
        ("don't use sora for a video", "sora*"),
        ("video other than veo or sora", "*veo*|sora*"), ("video except veo, and no sora", "*veo*|sora*"),
        ("a video model that is not from kling", "kling*"), ("non-kling video", "kling*"),
        ("kein kling video", "kling*"),
        ("4K video excluding kling and veo", "kling*|*veo*"), ("video instead of sora", "sora*"),
    ],
)  # fmt: skip
def test_models_behind_not_are_left_out(query: str, refused: str) -> None:
    found = search(query)
    assert found.matches
    assert not [name for name in names(found) for each in refused.split("|") if fnmatch.fnmatch(name, each)]
    assert any(note.startswith("Left out: ") for note in found.notes)


def test_a_maker_behind_not_is_left_out() -> None:
    found = search("cheapest image model not google")
    assert found.matches
    assert all(match.model.provider.lower() != "google" and match.model.kind == "image" for match in found.matches)


@pytest.mark.parametrize(
    "query", ["nothing but veo", "not only veo", "no sound, veo", "cheap but veo", "not sora but veo"]
)
def test_not_before_something_else_leaves_the_name_wanted(query: str) -> None:
    found = search(query)
    assert found.matches
    assert all("veo" in name for name in names(found))


PRICES = {"sora-2-preview": (4.0, 9.0), "wan3.0-text-to-video": (9.0, 20.0)}


@pytest.mark.parametrize(
    ("query", "lacks", "says"),
    [
        ("video of 1 hour", "3600 s", "The longest make 30 s."),
        ("half an hour of music film", "1800 s", "The longest make "),
        ("seedance shorter than 2 seconds", "a length under 2 s", "The shortest make 2 s."),
        ("video under 1 credit", "a price under 1 credit", "The lowest that is known is 4."),
        ("video, at most 3 credits", "a price of at most 3 credits", "The lowest that is known is 4."),
    ],
)
def test_a_limit_that_nothing_meets_is_told_with_the_nearest_figure(query: str, lacks: str, says: str) -> None:
    found = search(query, prices=PRICES)
    assert found.notes[0].startswith(f"No model here has {lacks}")
    assert says in found.notes[0]
    assert all(lacks in match.lacks for match in found.matches)


@pytest.mark.parametrize(
    ("query", "most"),
    [
        ("video shorter than 3 seconds", 2), ("video under 5 s", 4), ("video below 5 s", 4), ("video at most 5 s", 5),
        ("video no longer than 4 seconds", 4), ("video of not more than 5 s", 5), ("video, less than a minute", 59),
    ],
)  # fmt: skip
def test_a_length_that_is_not_to_be_exceeded_leads_to_models_that_are_short_enough(query: str, most: int) -> None:
    found = search(query)
    assert found.matches
    assert all((Traits(match.model).shortest or 99) <= most for match in found.matches)
    assert all(f"{most} s" in why or f"{most + 1} s" in why for match in found.matches for why in match.why)


def test_a_price_that_is_not_to_be_exceeded_leaves_out_what_costs_more_or_nobody_knows() -> None:
    for query in ("video under 5 credits", "video, 4 credits", "a video cheaper than 4.5 credits"):
        found = search(query, prices=PRICES)
        assert names(found) == ["sora-2-preview"]
        assert found.notes == ["Models without a known price are left out."]
    assert names(search("video under 4 credits", prices=PRICES)) != ["sora-2-preview"]
    assert "Not looked for: a price under 5 credits." in search("video under 5 credits").notes
    assert len(search("a video over 2 credits", prices=PRICES).matches) == MAX_MATCHES
    assert registry().wants_price("video under 5 credits")


def test_each_model_is_shown_with_what_speaks_for_it() -> None:
    first, *_ = search("20 seconds with sound at 1080p").matches
    assert {"20 s", "1080p", "sound"} == {*first.why}


@pytest.mark.parametrize("name", callable_models())
def test_every_model_is_found_by_its_own_id(name: str) -> None:
    assert name in names(search(name))[:10]
    assert name in names(search(name.replace("-", " ")))[:10]


@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        "?",
        "!!!",
        "0",
        "1:",
        "::",
        "x" * 5_000,
        "-1 seconds",
        "1e309 s",
        "\ud800",
        "٣ ثوان",
        "🦊 🦊",
        "4" * 300,
        "k p s",
    ],
)
def test_a_query_of_anything_is_answered(query: str) -> None:
    assert len(search(query).matches) <= len(registry().models)


def test_models_that_have_ended_or_are_known_by_name_only_come_last() -> None:
    for query in ("sora 2", "veo 3", "openai image", "cheap video"):
        status = [match.model.status == "active" for match in search(query).matches]
        assert status == sorted(status, reverse=True), query


def test_without_prices_cheap_says_what_its_order_rests_on() -> None:
    assert "No price is known here: small and quick models come first." in search("cheap video").notes


def test_a_wish_for_a_low_price_says_why_a_light_model_fits() -> None:
    first, *_ = search("cheapest picture").matches
    assert "light" in first.why


def test_with_prices_the_cheapest_comes_first() -> None:
    found = search("cheapest text to video", prices={"sora-2-preview": (1.0, 4.0), "wan3.0-text-to-video": (2.0, 9.0)})
    assert names(found)[:2] == ["sora-2-preview", "wan3.0-text-to-video"]
    assert not found.notes


@pytest.mark.parametrize("wish", ["four at once, cheap logo", "four logos at once", "four versions of a logo at once"])
def test_so_many_at_once_is_one_wish(wish: str) -> None:
    found = search(wish)
    assert found.matches
    for match in found.matches:
        assert "4 at once" in match.why
        assert not match.lacks


def test_several_at_once_is_a_wish_without_a_number() -> None:
    assert all(match.why == ("several at once",) for match in search("several pictures at once").matches)


def test_models_of_which_nobody_knows_are_named_and_not_passed_over() -> None:
    found = search("first and last frame with sound at 1080p")
    (note,) = found.notes
    assert note.startswith("Left out, since nobody says whether they have sound: MiniMax-Hailuo-02, ")
    assert not {name for name in names(found) if name in note}


def test_that_nobody_knows_how_fast_a_model_is_is_said_once() -> None:
    found = search("edit a photo, fastest")
    assert found.notes.count(NO_SPEEDS) == 1
    assert all("quick" in match.why for match in found.matches)
    assert search("edit a photo").notes == []


def test_a_mistyped_name_is_taken_for_the_name() -> None:
    assert names(search("seedence 2.5"))[0].startswith("seedance-2.5")
    assert names(search("klng edit"))[0].startswith("kling")


def test_a_kind_keeps_a_search_to_itself() -> None:
    assert {match.model.endpoint for match in search("cheap", kind="video").matches} == {"video"}


def test_the_words_lead_to_something_that_a_model_has() -> None:
    """A need in the data that no model meets would be a dead word."""
    for need in words()["words"]:
        found = search(words()["words"][need][0])
        assert found.matches, need


def test_every_model_the_words_name_is_there() -> None:
    for ids in [*words()["nicknames"].values(), *words()["judged"].values()]:
        for name in ids:
            assert model(name).status != "placeholder"


def test_every_recipe_is_shown_by_a_model_and_its_facts_name_models() -> None:
    shown = {title for name in callable_models() for title, _ in of_model(model(name))}
    for recipe in recipes():
        assert recipe.title in shown
        assert all(model(name).id == name for name in recipe.facts)
        assert recipe.steps


def test_facts_of_a_line_are_short() -> None:
    longest = max((registry().facts(name) for name in callable_models()), key=len)
    assert len(json.dumps(longest)) < 140, longest


def test_a_wish_for_quick_models_says_how_many_others_it_leaves_out() -> None:
    every = search("edit a photo")
    found = search("edit a photo, fastest")
    others = len(every.matches) + every.more - len(found.matches) - found.more
    assert f"{others} more fit but for quick: leave that word out to see them." in found.notes


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("midjourney-v7", "mj-v7"),
        ("Midjourney v7", "mj-v7"),
        ("GPT Image 1.5", "gpt-image-1.5"),
        ("kling o3 video edit", "kling-o3-video-edit"),
        ("veo 3.1", "veo 3.1"),  # two go by it
        ("nano banana", "nano banana"),
        ("gpt-image-1.5" + "." * 90 + "x", "gpt-image-1.5" + "." * 90 + "x"),
        ("", ""),
    ],
)
def test_a_whole_name_in_other_letters_and_signs_means_its_one_model(name: str, meant: str) -> None:
    assert registry().meant(name) == meant
