"""Secrets are in nothing that leaves, however they are spelled, and hiding them breaks nothing else."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolink_mcp.guard.secrets import MAX_DEPTH, MIN_SECRET_CHARACTERS, clean, hiding, redact

ODD = "pa\"ss\\wo/rd<ü>€😀'0"
SPELLINGS = {
    "plain": ODD,
    "json": json.dumps(ODD)[1:-1],
    "json in utf-8": json.dumps(ODD, ensure_ascii=False)[1:-1],
    "json twice": json.dumps(json.dumps(ODD))[3:-3],
    "json with capitals": json.dumps(ODD)[1:-1].replace("\\u00fc", "\\u00FC").replace("\\u20ac", "\\u20AC"),
    "python": repr(ODD)[1:-1],
    "python in ascii": ascii(ODD)[1:-1],
    "url": quote(ODD, safe=""),
    "url with slashes": quote(ODD).lower(),
    "html": html.escape(ODD),
    "every character as json": "".join(f"\\u{ord(each):04x}" for each in "pa") + json.dumps(ODD[2:])[1:-1],
}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc.def-123",
        "{'authorization': 'Bearer abc.def-123'}",
        "key sk-evo-abcdef123",
        "my-own-key",
    ],
)
def test_secrets_and_what_looks_like_one_are_hidden(text: str) -> None:
    shown = redact(text, "my-own-key", None)
    assert "abc" not in shown
    assert "my-own-key" not in shown
    assert "***" in shown


@pytest.mark.parametrize("spelling", list(SPELLINGS))
def test_a_key_of_odd_characters_is_hidden_in_every_spelling(spelling: str) -> None:
    text = f"the gateway says: {SPELLINGS[spelling]}, and goes on"
    assert redact(text, ODD) == "the gateway says: ***, and goes on"


def spelled(character: str, way: int) -> str:
    """One character, escaped in one of many ways."""
    units = character.encode("utf-16-be").hex()
    ways = (
        character,
        f"\\{character}",
        quote(character, safe=""),
        "".join(f"%{byte:02X}" for byte in character.encode()),
        "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)),
        "".join(f"\\\\u{units[at : at + 4].upper()}" for at in range(0, len(units), 4)),
        f"\\U{ord(character):08x}",
        f"\\x{ord(character):02x}" if ord(character) < 256 else character,
        f"&#{ord(character)};",
        f"&#x00{ord(character):X};",
        html.escape(character),
    )
    return ways[way % len(ways)]


PRINTABLE = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=MIN_SECRET_CHARACTERS, max_size=20)


@given(PRINTABLE.filter(lambda key: not set(key) & set("\\%&")), st.lists(st.integers(0, 10), min_size=20))
def test_a_key_is_hidden_however_each_of_its_characters_is_escaped(key: str, ways: list[int]) -> None:
    text = "".join(map(spelled, key, ways))
    assert redact(f"<{text}>", key).strip("\\") == "<***>"


@pytest.mark.parametrize("length", [64, 512, 4_000])
def test_a_long_credential_takes_no_long_look(length: int) -> None:
    """Made-up ones cost nothing, and the event loop stands still meanwhile."""
    key = "".join(map(chr, range(48, 123)))[::-1] * 60
    start = time.thread_time()
    clean({"links": ["https://a.test/?a=1&b=%41"] * 20, "text": "a\\nb"}, key[:length])
    assert time.thread_time() - start < 0.04


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=MIN_SECRET_CHARACTERS, max_size=40), st.text())
def test_no_key_survives_in_values_or_names_of_objects(key: str, text: str) -> None:
    value = {"a": [f"{text}{key}{text}", {key: json.dumps(key)}], key: key}
    cleaned = json.dumps(clean(value, key), ensure_ascii=False)
    assert key not in json.dumps(cleaned, ensure_ascii=False).replace("***", "")
    for part in (key, json.dumps(key)[1:-1]):
        assert part not in cleaned.replace("***", "") or set(part) <= set('"{}[]:, a*')


@pytest.mark.parametrize("key", ["t", "ta", "task", '"', "\\", "ab", "a", "pending"])
def test_a_short_key_breaks_no_value(key: str) -> None:
    value = {"task_id": "task-unified-1-abc", "status": "pending", "text": "a task takes a while", "kind": "image"}
    assert clean(value, key) == value


SPEAKING_OF_KEYS = (
    "invalid api key {}",
    "Incorrect API key provided: '{}'.",
    "Bearer {}",
    "token={}",
    '{{"authorization": "{}"}}',
)


@pytest.mark.parametrize("key", ["t", "ab", "x9"])
@pytest.mark.parametrize("text", SPEAKING_OF_KEYS)
def test_a_short_key_is_hidden_where_the_text_speaks_of_one(key: str, text: str) -> None:
    assert redact(text.format(key), key) == text.format("***")


@pytest.mark.parametrize("key", ['a"b\\c', "x\\", '"q"', "k'\"1"])
def test_a_short_key_is_hidden_however_it_is_written(key: str) -> None:
    for spelled in (key, json.dumps(key)[1:-1], repr(key)[1:-1], json.dumps(json.dumps(key))[3:-3]):
        assert redact(f"invalid api key {spelled} given", key) == "invalid api key *** given"


def test_the_secrets_of_a_request_are_hidden_while_it_is_handled() -> None:
    with hiding(("presented-token",)):
        assert clean("with presented-token") == "with ***"
        assert redact("with presented-token") == "with ***"
    assert clean("with presented-token") == "with presented-token"


def listed(value: object) -> object:
    return [value]


def keyed(value: object) -> object:
    return {"key": value}


@pytest.mark.parametrize("wrap", [listed, keyed])
def test_what_lies_no_deeper_than_readers_go_is_kept(wrap: Callable[[object], object]) -> None:
    deep: object = "end"
    for _ in range(MAX_DEPTH):
        deep = wrap(deep)
    assert "…" not in str(clean(deep))
    assert "…" in str(clean(wrap(deep)))


def test_what_json_cannot_hold_is_made_fit() -> None:
    deep: object = "end"
    for _ in range(MAX_DEPTH + 5):
        deep = [deep]
    cleaned = clean({"m\ud800": "\x1b[1mx", "n": [float("nan"), float("inf"), 1.5, None, True], "deep": deep})
    text = json.dumps(cleaned, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert json.loads(text)["n"] == [None, None, 1.5, None, True]
    assert json.loads(text)["m\ufffd"] == "x"
    assert "…" in text
