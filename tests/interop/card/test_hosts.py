"""The card in hosts that block, refuse or lack something: it says so, and offers what is left."""

from __future__ import annotations

import pytest

from tests.interop.card.browser import Browser
from tests.interop.card.chat import BLOCKED, EVOLINK, LOADED, finished, pressed
from tests.support import Sandbox

pytestmark = pytest.mark.xdist_group("card")  # one browser for all cards

BLOB = """new Promise(done => {
    const image = new Image();
    image.onload = () => done("shown");
    image.onerror = () => done("blocked");
    image.src = URL.createObjectURL(new Blob(["<svg xmlns='http://www.w3.org/2000/svg'/>"], { type: "image/svg+xml" }));
})"""


def test_a_host_that_blocks_data_links_loads_the_picture_itself(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, patch={sandbox.url: EVOLINK}, data=False)
    browser.until_holds(LOADED.format(1))
    assert browser.do("run", script="document.images[0].src").startswith(f"{EVOLINK}/results/")
    assert browser.trouble(*BLOCKED) == []


def test_a_host_that_loads_no_pictures_shows_words_and_a_way_to_them(browser: Browser, sandbox: Sandbox) -> None:
    for tool, words in (("generate_image", "It cannot be shown here."), ("generate_video", "▶ Open the film")):
        finished(browser, sandbox, tool, patch={sandbox.url: EVOLINK}, data=False, domains=False)
        browser.until(words)
        browser.until_holds("!document.querySelector('img')")
        assert pressed(browser, "Open")[1]["url"].startswith(f"{EVOLINK}/results/")
        assert browser.audit() == []


def test_a_host_that_refuses_a_download_is_asked_to_open_the_link(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, refused=["download"])
    assert pressed(browser, "Download")[0] == "download"
    browser.until("The host did not do it.")
    kind, params = pressed(browser, "Open the link")
    assert kind == "open"
    assert params["url"].startswith(f"{sandbox.url}/results/")


def test_a_host_that_refuses_to_open_a_link_has_it_shown(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, refused=["open"])
    pressed(browser, "Open")
    assert f"{sandbox.url}/results/" in browser.until("The host did not do it.")
    assert browser.audit() == []


def test_a_host_that_blocks_blob_links_shows_all_there_is(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox)
    browser.until_holds(LOADED.format(1))
    assert browser.trouble() == []
    assert browser.do("run", script=BLOB) == "blocked"


def test_a_film_that_nobody_can_open_offers_no_button(browser: Browser, sandbox: Sandbox) -> None:
    finished(browser, sandbox, "generate_video", domains=False, without=["openLinks"])
    browser.until_holds(LOADED.format(1))
    assert "Open" not in browser.do("text")
