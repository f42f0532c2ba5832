"""What is refused as a bad request: what every model needs, and the pages of two models (S3, S4)."""

from __future__ import annotations

import pytest

from evolink_mcp.sandbox.catalog import models
from tests.unit.sandbox.lab import PAID, Lab


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(lab: Lab, body: bytes) -> None:
    response = lab.http.post("/v1/images/generations", content=body)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_a_body_past_64_mb_is_too_large(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolink_mcp.sandbox.creating.MAX_BODY", 1000)
    response = lab.http.post("/v1/images/generations", json={"model": "gpt-image-1", "prompt": "x" * 1000})
    assert response.status_code == 413
    assert response.json()["error"]["type"] == "request_too_large_error"


@pytest.mark.parametrize("model", [None, "", 7, "no-such-model", "seedance-2.0"])
def test_a_model_that_cannot_be_called_is_refused(lab: Lab, model: object) -> None:
    error = lab.refused("video", model)
    assert (error["code"], error["param"]) == (400, "model")
    assert lab.paid() == 0


def test_the_placeholder_is_refused_with_names_that_work(lab: Lab) -> None:
    assert "seedance-2.0-text-to-video" in lab.refused("video", "seedance-2.0")["message"]


@pytest.mark.parametrize(
    ("kind", "model"), [("image", "veo3"), ("video", "gpt-image-2"), ("audio", "veo3"), ("video", "suno-v5")]
)
def test_a_model_of_another_kind_is_refused_with_the_right_address(lab: Lab, kind: str, model: str) -> None:
    error = lab.refused(kind, model)
    assert PAID[models()[model].kind] in error["message"]


@pytest.mark.parametrize("prompt", [None, "", "  \n"])
def test_a_prompt_is_needed(lab: Lab, prompt: str | None) -> None:
    assert lab.refused("image", "gpt-image-1", prompt=prompt)["param"] == "prompt"
    assert lab.refused("video", "seedance-1.5-pro", prompt=prompt)["param"] == "prompt"


@pytest.mark.parametrize(
    "model", ["omnihuman-1.5", "kling-v3-image-to-video", "MiniMax-Hailuo-02", "MiniMax-Hailuo-2.3-Fast"]
)
def test_some_models_need_no_prompt(lab: Lab, model: str) -> None:
    assert lab.post("/v1/videos/generations", {"model": model})["status"] == "pending"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", 7),
        ("size", 1024),
        ("n", "2"),
        ("n", True),
        ("n", 1.5),
        ("image_urls", "https://example.com/a.png"),
        ("image_urls", [7]),
        ("image_urls", [""]),
        ("video_urls", [None]),
        ("duration", "5"),
        ("generate_audio", "yes"),
        ("generate_audio", 1),
        ("quality", ["720p"]),
        ("model_params", []),
        ("callback_url", 7),
        ("output_format", {}),
    ],
)
def test_wrong_types_are_refused(lab: Lab, name: str, value: object) -> None:
    assert lab.refused("video", "veo3", **{name: value})["param"] == name


def test_a_null_counts_as_not_given(lab: Lab) -> None:
    assert lab.submit("image", "gpt-image-2", n=None, size=None, resolution=None, image_urls=None, callback_url=None)
    assert lab.submit("video", "veo3", duration=None, sound=None)


def test_parameters_of_single_models_are_not_checked(lab: Lab) -> None:
    assert lab.submit("video", "veo3", quality="whatever", aspect_ratio="5:7", strange={"a": [1]})


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("image", "n", 0),
        ("image", "n", 16),
        ("image", "size", "20000x20000"),
        ("video", "duration", 0),
        ("video", "duration", 61),
    ],
)
def test_what_no_model_can_make_is_refused(lab: Lab, kind: str, name: str, value: object) -> None:
    assert lab.refused(kind, {"image": "gpt-image-1", "video": "veo3"}[kind], **{name: value})["param"] == name


@pytest.mark.parametrize("size", ["auto", "1024x1024", "3840×2160", "2:1", "1:3", "9:21", "3840x1280"])
def test_s3_sizes_are_taken(lab: Lab, size: str) -> None:
    assert lab.submit("image", "gpt-image-2", size=size, resolution="2k", quality="high", n=1)


@pytest.mark.parametrize(
    "size",
    [
        "7:5",
        "16/9",
        "1024",
        "1024*1024",
        "1000x1000",  # not multiples of 16
        "3856x1600",  # an edge over 3840
        "1600x3856",
        "512x512",  # under 655,360 pixels
        "3840x2176",  # over 8,294,400 pixels
        "3840x1264",  # flatter than 3:1
        "square",
    ],
)
def test_s3_refuses_other_sizes(lab: Lab, size: str) -> None:
    assert lab.refused("image", "gpt-image-2", size=size)["param"] == "size"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 0),
        ("n", 11),
        ("quality", "HIGH"),
        ("quality", "auto"),
        ("resolution", "8K"),
        ("prompt", "x" * 32_001),
        ("image_urls", [f"https://example.com/{n}.png" for n in range(17)]),
        ("image_urls", []),
        ("image_urls", ["data:image/png;base64,AAAA"]),
    ],
)
def test_s3_limits_hold(lab: Lab, name: str, value: object) -> None:
    assert lab.refused("image", "gpt-image-2", **{name: value})["param"] == name


def test_s3_counts_code_points_and_takes_all_it_allows(lab: Lab) -> None:
    urls = [f"https://example.com/{n}.png" for n in range(16)]
    assert lab.submit("image", "gpt-image-2", prompt="\U0001f431" * 32_000, image_urls=urls, n=10)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", "x" * 1001),
        ("size", "16:9"),
        ("size", "auto"),
        ("n", 3),
        ("n", 5),
        ("image_urls", [f"https://example.com/{n}.png" for n in range(6)]),
    ],
)
def test_s4_limits_hold(lab: Lab, name: str, value: object) -> None:
    assert lab.refused("image", "gpt-4o-image", **{name: value})["param"] == name


def test_s4_takes_what_its_page_allows(lab: Lab) -> None:
    one = ["https://example.com/a.png"]
    for n in (1, 2, 4):
        assert lab.submit("image", "gpt-4o-image", n=n, size="1536x1024", prompt="x" * 1000)
    assert lab.submit("image", "gpt-4o-image", image_urls=one, mask_url="https://example.com/m.png")
    assert lab.submit("image", "gpt-4o-image", image_urls=one * 5)


def test_s4_refuses_a_mask_with_several_references(lab: Lab) -> None:
    error = lab.refused(
        "image", "gpt-4o-image", image_urls=["https://example.com/a.png"] * 2, mask_url="https://e.com/m"
    )
    assert error["param"] == "mask_url"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://10.1.2.3/hook",
        "https://192.168.0.1/",
        "https://172.16.0.1/",
        "https://[fe80::1/",
        "https://printer.local/hook",
        "https:///hook",
        "https://example.com/" + "x" * 2048,
    ],
)
def test_a_callback_that_may_not_be_called_is_refused(lab: Lab, url: str) -> None:
    assert lab.refused("image", "gpt-image-2", callback_url=url)["param"] == "callback_url"
    assert lab.refused("video", "veo3", callback_url=url)["param"] == "callback_url"


@pytest.mark.parametrize("host", ["127.0.0.1:9", "[::1]:9", "localhost:9"])
def test_a_callback_to_this_machine_is_taken_for_the_sandbox_is_on_it(lab: Lab, host: str) -> None:
    assert lab.submit("image", "gpt-image-2", callback_url=f"http://{host}/hook")
    assert lab.refused("image", "gpt-image-2", callback_url=f"http://{host}/{'x' * 2048}")["param"] == "callback_url"


def test_a_public_https_callback_is_taken(lab: Lab) -> None:
    assert lab.submit("image", "gpt-image-2", callback_url="https://example.com/" + "x" * 2028)
