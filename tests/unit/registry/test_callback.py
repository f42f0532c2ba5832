"""callback_url, the same for every model: https, at most 2048 characters, and never an internal address (S3, S4)."""

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
    "link",
    """
    http://your-domain.com/x ftp://a.b/x your-domain.com https:// https://127.0.0.1/x https://127.1/x https://0x7f.0.0.1/
    https://2130706433/ https://10.1.2.3/x https://172.16.0.1/ https://172.31.255.255/ https://192.168.1.1/
    https://169.254.169.254/latest https://100.64.0.1/ https://0.0.0.0/ https://localhost/x https://LOCALHOST:8443/
    https://localhost./x https://app.localhost/ https://[::1]/ https://[fc00::1]/ https://[fe80::1%25eth0]/
    https://[::ffff:127.0.0.1]/ https://[::ffff:10.0.0.1]/ https://[2002:7f00:1::]/ https://224.0.0.1/ https://a.b:99999/
    https://intranet/x https://db.internal/ https://printer.LOCAL/ https://a.b.localhost./ https://ip6-localhost/
    https://localhost.localdomain/ https://user:pw@127.0.0.1/ https://[oops/ 
    """.split(),
)
def test_callback_url_refuses_what_is_not_public_https(link: str) -> None:
    assert refused(check("gpt-image-2", P | {"callback_url": link}), "callback_url")


@pytest.mark.parametrize("link", ["https://a b.com/", "https://a.com/\nx", "", 5, ["https://a.b"]])
def test_callback_url_is_one_link(link: object) -> None:
    assert refused(check("seedance-1.5-pro", P | {"callback_url": link}), "callback_url")


def test_callback_url_has_at_most_2048_characters() -> None:
    start = "https://example.com/"
    assert check("gpt-4o-image", P | {"callback_url": start.ljust(2048, "x")}).problems == ()
    (problem,) = check("gpt-4o-image", P | {"callback_url": start.ljust(2049, "x")}).problems
    assert "2,049 characters" in problem.message
