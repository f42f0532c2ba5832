"""The card in Chromium, from the call to the message in the chat, on the sandbox."""

from __future__ import annotations

import pytest

from tests.interop.card.browser import Browser
from tests.interop.card.chat import BLOCKED, EVOLINK, KITE, LOADED, call, finished, message, pressed
from tests.support import Sandbox

pytestmark = pytest.mark.xdist_group("card")  # one browser for all cards


def test_a_picture_comes_to_the_card_and_goes_to_the_chat(browser: Browser, sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=3)
    opened = browser.do("open", input=KITE)
    task_id = opened["result"]["structuredContent"]["task_id"]
    assert opened["mimeType"] == "text/html;profile=mcp-app"
    assert opened["meta"]["ui"]["csp"] == {"resourceDomains": ["https://*.evolink.ai"]}
    waiting = browser.until("Making your image")
    assert "a red kite over the dunes" in waiting
    assert "Held:" in waiting
    browser.until("Your image is ready")
    browser.until_holds(LOADED.format(1))
    assert browser.do("run", script="document.images[0].src.startsWith('data:image/jpeg;base64,')")
    assert browser.do("run", script="document.images[0].alt") == "a red kite over the dunes"
    said = message(pressed(browser, "Use as reference"))
    assert task_id in said
    assert f"{sandbox.url}/results/" in said
    browser.until("Sent to the chat.")
    assert {call[1]["name"] for call in browser.do("calls")} == {"show_task"}
    assert sandbox.paid() == 1
    assert browser.trouble() == []


@pytest.mark.parametrize(
    ("label", "words"),
    [("Variation", "a variation of"), ("Animate", "generate_video"), ("Upscale", "upscaled")],
)
def test_a_button_asks_for_the_price_first(browser: Browser, sandbox: Sandbox, label: str, words: str) -> None:
    finished(browser, sandbox)
    browser.until("Your image is ready")
    said = message(pressed(browser, label))
    assert words in said
    assert "what it costs" in said
    assert sandbox.paid() == 1


def test_one_of_four_pictures_is_chosen(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, input={**KITE, "n": 4, "model": "gpt-image-1.5"})
    browser.until_holds(LOADED.format(4))
    browser.do("click", label="Choose 3 of 4")
    assert browser.do("run", script="document.querySelector('[aria-pressed=true]').textContent")[0] == "3"
    assert "image 3 of task" in message(pressed(browser, "Variation"))
    kind, params = pressed(browser, "Open")
    assert kind == "open"
    assert params["url"].startswith("http://127.0.0.1:")
    assert browser.trouble() == []


def test_a_film_plays_from_its_link_where_the_host_loads_it(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, "generate_video", patch={sandbox.url: EVOLINK})
    browser.until_holds("document.querySelector('video')?.duration > 0")
    assert browser.do("run", script="document.querySelector('video').poster.startsWith('data:image/jpeg')")
    browser.do("run", script="document.querySelector('video').play().then(() => true)")
    browser.until_holds("document.querySelector('video').currentTime > 0")
    assert browser.trouble() == []


def test_a_film_has_a_poster_where_the_host_loads_nothing(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, "generate_video", patch={sandbox.url: EVOLINK}, domains=False)
    browser.until("Open the film")
    browser.until_holds(LOADED.format(1))
    kind, params = pressed(browser, "Open the film")
    assert kind == "open"
    assert params["url"].startswith(f"{EVOLINK}/results/")
    assert browser.trouble(*BLOCKED) == []


def test_a_sound_plays_though_the_host_loads_nothing(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, "generate_audio", patch={sandbox.url: EVOLINK}, domains=False)
    browser.until("Load and play")
    browser.do("click", label="Load and play")
    browser.until_holds("document.querySelector('audio')?.duration > 0")
    assert browser.do("run", script="document.querySelector('audio').src.startsWith('data:audio/')")
    assert browser.trouble(*BLOCKED) == []


def test_a_failed_task_says_why_and_what_to_do(browser: Browser, sandbox: Sandbox) -> None:
    sandbox.fault("images", "task_error", code="content_policy_violation", message="no kites here")
    finished(browser, sandbox)
    told = browser.until("could not be made")
    assert "no kites here" in told
    assert not browser.do("run", script="document.querySelectorAll('nav button').length")
    assert browser.trouble() == []


def test_a_refusal_is_shown_as_it_is(browser: Browser, sandbox: Sandbox) -> None:
    browser.do("open", input={**KITE, "n": 900})
    told = browser.until("This did not work")
    assert "Charged: no." in told
    assert sandbox.paid() == 0
    assert browser.trouble() == []


def test_a_dead_link_is_told(browser: Browser, sandbox: Sandbox) -> None:
    sandbox.configure(link_seconds=0)
    finished(browser, sandbox, ahead=25 * 3600)
    told = browser.until("The link has died.")
    browser.until_holds("document.querySelector('figure .tile:not(.busy)')")
    assert "dies in" not in told
    assert not {"Open", "Download", "Use as reference"} & {*told.splitlines()}
    assert browser.trouble(*BLOCKED) == []


def test_a_living_link_says_when_it_dies(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox)
    browser.until("The link dies in 24 h.")


def test_a_small_file_travels_with_the_download_and_a_large_one_is_read_by_the_host(
    browser: Browser, sandbox: Sandbox
) -> None:
    task_id = finished(browser, sandbox)
    browser.until("Your image is ready")
    browser.do("run", script="view.task.results[0].bytes = 1000")
    kind, params = pressed(browser, "Download")
    assert kind == "download"
    assert params["contents"][0]["type"] == "resource"
    assert params["contents"][0]["resource"]["blob"].startswith("iVBOR")
    browser.do("run", script="view.task.results[0].bytes = 9e6")
    _, params = pressed(browser, "Download")
    (link,) = params["contents"]
    assert link["type"] == "resource_link"
    assert link["uri"] == f"evolink://tasks/{task_id}/results/1"
    read = browser.do("call", method="readResource", params={"uri": link["uri"]})
    assert read["contents"][0]["blob"].startswith("iVBOR")


def test_only_what_the_host_can_do_is_offered(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, without=["openLinks", "downloadFile", "message", "serverResources"])
    browser.until("Your image is ready")
    assert not browser.do("run", script="document.querySelectorAll('button').length")


def test_a_host_that_passes_on_no_calls_still_shows_what_it_was_told(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, without=["serverTools"])
    told = browser.until("Your image is ready")
    assert "a red kite" in told
    browser.until_holds("document.querySelector('figure .tile:not(.busy), figure img')")


def test_a_host_may_put_the_page_into_one_of_its_own(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, before="<!doctype html><html><head></head><body><p>A host's own</p>")
    browser.until("Your image is ready")
    browser.until_holds(LOADED.format(1))
    assert browser.trouble() == []


def test_a_host_of_an_older_protocol_feeds_the_card_too(browser: Browser, sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=2)
    browser.do("open", mode="legacy", input=KITE)
    browser.until("Your image is ready")
    browser.until_holds(LOADED.format(1))
    assert browser.trouble() == []


def test_the_list_shows_what_was_made_and_opens_one_of_it(browser: Browser, sandbox: Sandbox) -> None:
    for prompt in ("a red kite", "a blue kite"):
        call(browser, "generate_image", prompt=prompt)
    sandbox.settle()
    browser.do("open", tool="list_tasks")
    browser.until("2 tasks")
    browser.until_holds(LOADED.format(2))
    assert "The link dies in" in browser.do("text")
    browser.do("run", script="document.querySelector('.list button').click()")
    browser.until("Your image is ready")
    browser.until_holds("document.querySelector('figure img')?.naturalWidth > 0")
    browser.do("click", label="Back to the list")
    browser.until("2 tasks")
    assert sandbox.paid() == 2
    assert browser.trouble() == []


def test_the_list_says_what_becomes_of_each_result(browser: Browser, sandbox: Sandbox) -> None:
    for prompt in ("a red kite", "a blue kite", "a green kite"):
        call(browser, "generate_image", prompt=prompt)
    sandbox.settle()
    result = call(browser, "list_tasks")
    tasks = {task["prompt"]: task for task in result["structuredContent"]["tasks"]}
    tasks["a red kite"]["saved_paths"] = ["/home/ann/pictures/a-red-kite.png"]
    tasks["a blue kite"]["copy_urls"] = ["https://mcp.example.com/copies/a-blue-kite.png"]
    browser.do("open", tool="list_tasks", result=result)
    shown = browser.until("3 tasks")
    fates = {"a red kite": "Saved.", "a blue kite": "Kept.", "a green kite": "The link dies in"}
    for prompt, fate in fates.items():
        assert fate in shown[shown.index(prompt) :].split("kite")[1], prompt
    assert browser.trouble() == []


def test_a_card_off_screen_asks_for_nothing(browser: Browser, sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=3600)
    browser.do("open", input=KITE)
    browser.until("Making your image")
    browser.do("host", script="document.querySelector('iframe').style.marginTop = '5000px'")
    browser.until_holds("document.body.classList.contains('quiet')")
    before = len(browser.do("calls"))
    browser.do("run", script="poll()")
    assert len(browser.do("calls")) == before
    browser.do("host", script="document.querySelector('iframe').style.marginTop = '0'")
    browser.until_holds("!document.body.classList.contains('quiet')")
    browser.until_holds("lastId > 1")
    assert browser.do("teardown") == {}
    assert browser.do("run", script="gone")


def test_the_buttons_are_reached_by_keyboard(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox)
    browser.until("Your image is ready")
    browser.until_holds(LOADED.format(1))
    browser.do("run", script="document.querySelector('nav button').focus()")
    assert browser.do("keys", keys=["Tab", "Tab"]) == "Use as reference"
    browser.do("keys", keys=["Enter"])
    assert "as a reference" in message(browser.do("asked")[-1])


def test_the_card_says_its_size_and_follows_the_theme(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, context={"styles": {"variables": {"--color-text-primary": "rgb(1, 2, 3)"}}})
    browser.until("Your image is ready")
    assert browser.do("run", script="getComputedStyle(document.body).color") == "rgb(1, 2, 3)"
    browser.do("context", context={"theme": "dark"})
    browser.until_holds("document.documentElement.style.colorScheme === 'dark'")
    browser.until_holds(LOADED.format(1))
    height = browser.do("run", script="Math.ceil(document.body.scrollHeight)")
    assert height > 200
    browser.until_holds("innerHeight >= document.body.scrollHeight")


def test_nothing_moves_where_the_user_wants_it_so(browser: Browser, sandbox: Sandbox) -> None:
    sandbox.configure(image_seconds=3600)
    for reduced, name in ((True, "none"), (False, "breathe")):
        browser.do("open", input=KITE, reduced=reduced)
        browser.until("Making your image")
        assert browser.do("run", script="getComputedStyle(document.querySelector('.busy')).animationName") == name
