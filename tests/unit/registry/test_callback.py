"""callback_url, the same for every model: https, at most 2048 characters (S3, S4). Where it leads, the guard judges."""

import pytest

from tests.unit.registry.support import check, refused

CALLBACK = "https://your-domain.com/webhooks/image-task-completed"
P: dict[str, object] = {"prompt": "A fox"}

MODELS = ["gpt-image-2", "gpt-4o-image", "seedance-1.5-pro", "veo3", "kling-custom-element", "MiniMax-Hailuo-02"]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "link",
    [CALLBACK, "https://8.8.8.8/x", "https://172.32.0.1/", "https://[2606:4700::1111]/x", "https://a.b:8443/?q=1"],
)
def test_callback_url_takes_public_https(name: str, link: str) -> None:
    assert not refused(check(name, {"callback_url": link}), "callback_url")


@pytest.mark.parametrize(
    "link", "http://your-domain.com/x ftp://a.b/x your-domain.com https:// https://a.b:99999/ https://[oops/".split()
)
def test_callback_url_refuses_what_is_no_https_link(link: str) -> None:
    assert refused(check("gpt-image-2", P | {"callback_url": link}), "callback_url")


@pytest.mark.parametrize("link", ["https://a b.com/", "https://a.com/\nx", "", 5, ["https://a.b", "https://a.c"]])
def test_callback_url_is_one_link(link: object) -> None:
    assert refused(check("seedance-1.5-pro", P | {"callback_url": link}), "callback_url")


def test_callback_url_has_at_most_2048_characters() -> None:
    start = "https://example.com/"
    assert check("gpt-4o-image", P | {"callback_url": start.ljust(2048, "x")}).problems == ()
    (problem,) = check("gpt-4o-image", P | {"callback_url": start.ljust(2049, "x")}).problems
    assert "2,049 characters" in problem.message
