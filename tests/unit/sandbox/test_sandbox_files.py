"""The files API: three ways in, what is refused, names, quota, paging, expiry, ownership."""

from __future__ import annotations

import base64

import pytest

from evolink_mcp.sandbox.files import sniff
from tests.unit.sandbox.lab import MP4_HEAD, OTHER_KEY, Lab, png
from tests.unit.sandbox.web import BASE64, STREAM, URL, code

SAMPLES = {
    "image/jpeg": b"\xff\xd8\xff\xe0rest",
    "image/png": png(),
    "image/gif": b"GIF87a....",
    "image/webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "video/mp4": MP4_HEAD,
    "video/quicktime": b"\x00\x00\x00\x14ftypqt  ....",
    "video/webm": b"\x1a\x45\xdf\xa3\x01\x42\x82\x84webm....",
    "audio/mpeg": b"\xff\xfb\x90\x00....",
    "audio/mp4": b"\x00\x00\x00\x20ftypM4A ....",
    "audio/wav": b"RIFF\x00\x00\x00\x00WAVEfmt ",
}


@pytest.mark.parametrize(("mime", "content"), SAMPLES.items())
def test_a_file_is_known_by_its_first_bytes(lab: Lab, mime: str, content: bytes) -> None:
    assert lab.uploaded(content, "misleading.txt")["mime_type"] == mime


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"",
        b"%PDF-1.7",
        b"\x00\x00\x00\x20ftypavif....",
        b"RIFF\x00\x00\x00\x00AVI ",
        b"\x1a\x45\xdf\xa3matroska",
        b"\xff\xf1\x50\x80 aac",
    ],
)
def test_any_other_type_is_refused(lab: Lab, content: bytes) -> None:
    response = lab.upload(content)
    assert (response.status_code, code(response)) == (400, 40002)
    assert lab.get("/api/v1/files/quota")["data"]["used_files"] == 0


def test_mp3_with_tags_is_known() -> None:
    assert sniff(b"ID3\x04") == "audio/mpeg"


def test_an_upload_answers_with_the_whole_envelope(lab: Lab) -> None:
    content = png()
    body = lab.upload(content, "kite.png", upload_path="images").json()
    assert (body["success"], body["code"]) == (True, 200)
    data = body["data"]
    assert data.keys() == {
        "file_id", "file_name", "original_name", "file_size", "mime_type",
        "upload_path", "file_url", "download_url", "upload_time", "expires_at",
    }  # fmt: skip
    assert (data["file_name"], data["original_name"], data["upload_path"]) == ("kite.png", "kite.png", "images")
    assert data["file_size"] == len(content)
    assert data["upload_time"].endswith("Z")


def test_an_uploaded_file_is_served_with_its_type_and_length(lab: Lab) -> None:
    content = png()
    data = lab.uploaded(content, "kite one.png")
    shown, saved = lab.open(data["file_url"]), lab.open(data["download_url"])
    assert shown.content == saved.content == content
    assert (shown.headers["content-type"], shown.headers["content-length"]) == ("image/png", str(len(content)))
    assert "content-disposition" not in shown.headers
    assert saved.headers["content-disposition"].startswith("attachment")


def test_the_limit_is_100_mb() -> None:
    from evolink_mcp.sandbox.files import MAX_FILE_BYTES

    assert MAX_FILE_BYTES == 100 * 1024 * 1024


@pytest.mark.parametrize("size", [1001, 3_000_000])
def test_a_larger_file_is_refused_whichever_way_it_comes(lab: Lab, small_limit: int, size: int, web: str) -> None:
    content = png() + bytes(size)
    encoded = base64.b64encode(content).decode()
    answers = [
        lab.upload(content),
        lab.http.post(BASE64, json={"base64_data": encoded}),
        lab.http.post(URL, json={"file_url": f"{web}/size/{size}"}),
    ]
    assert [(answer.status_code, code(answer)) for answer in answers] == [(400, 40001)] * 3


def test_a_file_at_the_limit_is_taken(lab: Lab, small_limit: int) -> None:
    content = png()
    assert lab.uploaded(content + bytes(small_limit - len(content)))["file_size"] == small_limit


@pytest.mark.parametrize("prefix", ["", "data:image/gif;base64,"])
def test_base64_comes_bare_or_as_a_data_url(lab: Lab, prefix: str) -> None:
    text = prefix + base64.b64encode(png()).decode()
    data = lab.post(BASE64, {"base64_data": text, "upload_path": "/a//b/", "file_name": "c.png"})["data"]
    assert (data["mime_type"], data["upload_path"], data["file_name"]) == ("image/png", "a/b", "c.png")
    assert lab.open(data["file_url"]).content == png()


@pytest.mark.parametrize("text", ["not base64!", "aGk*=", None, 7, "", "ünï"])
def test_what_is_not_base64_is_refused(lab: Lab, text: object) -> None:
    response = lab.http.post(BASE64, json={"base64_data": text})
    assert (response.status_code, code(response)) == (400, 400)


def test_a_file_without_a_name_gets_one(lab: Lab) -> None:
    data = lab.post(BASE64, {"base64_data": base64.b64encode(png()).decode()})["data"]
    assert data["file_name"].endswith(".png")
    assert data["original_name"] == data["file_name"]


def test_both_spellings_of_the_form_fields_are_read(lab: Lab) -> None:
    snake = lab.uploaded(png(), "x.png", upload_path="p", file_name="a.png")
    camel = lab.uploaded(png(), "x.png", uploadPath="p", fileName="b.png")
    assert (snake["upload_path"], snake["file_name"]) == ("p", "a.png")
    assert (camel["upload_path"], camel["file_name"]) == ("p", "b.png")
    assert camel["original_name"] == "x.png"


@pytest.mark.parametrize(
    ("name", "kept"), [("../../etc/passwd", "passwd"), ("c:\\a\\b.png", "b.png"), ("ä b#?.png", "ä b#?.png")]
)
def test_a_name_stays_a_name(lab: Lab, name: str, kept: str) -> None:
    data = lab.uploaded(png(), "x.png", file_name=name)
    assert data["file_name"] == kept
    assert lab.open(data["file_url"]).content == png()


@pytest.mark.parametrize("folder", ["..", "a/../../b", "a\\..\\b"])
def test_a_folder_may_not_climb(lab: Lab, folder: str) -> None:
    response = lab.upload(png(), upload_path=folder)
    assert (response.status_code, code(response)) == (400, 400)


def test_names_that_are_not_text_are_refused(lab: Lab) -> None:
    response = lab.http.post(BASE64, json={"base64_data": base64.b64encode(png()).decode(), "file_name": 7})
    assert (response.status_code, code(response)) == (400, 400)


@pytest.mark.parametrize(
    ("content", "mime"),
    [
        (b"x", "text/plain"),
        (b"--b\r\n\r\n", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data"),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
    ],
    ids=["other type", "no name", "no boundary", "not a file"],
)
def test_a_form_without_a_file_is_refused(lab: Lab, content: bytes, mime: str) -> None:
    response = lab.http.post(STREAM, content=content, headers={"content-type": mime})
    assert (response.status_code, code(response)) == (400, 400)


def test_one_file_a_request(lab: Lab) -> None:
    files = [("file", ("a.png", png())), ("file", ("b.png", png()))]
    response = lab.http.post(STREAM, files=files)
    assert (response.status_code, code(response)) == (400, 400)


def test_the_same_name_in_the_same_folder_overwrites(lab: Lab) -> None:
    old = lab.uploaded(png(colour="red"), "a.png", upload_path="p")
    new = lab.uploaded(png(colour="blue"), "a.png", upload_path="p")
    other = lab.uploaded(png(), "a.png", upload_path="q")
    assert new["file_url"] == old["file_url"] != other["file_url"]
    assert lab.open(new["file_url"]).content == png(colour="blue")
    assert lab.get("/api/v1/files/list")["data"]["total"] == 2
    assert lab.http.delete(f"/api/v1/files/{old['file_id']}").status_code == 404


def test_the_quota_holds_but_not_for_overwriting(lab: Lab) -> None:
    lab.config(max_files=2)
    for name in ("a.png", "b.png"):
        lab.uploaded(png(), name)
    refused = lab.upload(png(), "c.png")
    assert (refused.status_code, code(refused)) == (400, 40003)
    lab.uploaded(png(), "a.png")
    quota = lab.get("/api/v1/files/quota")["data"]
    assert quota == {"user_group": "default", "used_files": 2, "max_files": 2, "remain_files": 0}


def test_refused_uploads_leave_nothing_on_disk(lab: Lab) -> None:
    lab.config(max_files=0)
    lab.upload(png())
    lab.upload(b"junk")
    lab.upload(png(), upload_path="..")
    lab.http.post(URL, json={"file_url": "http://127.0.0.1:1/"})
    folder = lab.sandbox.folder.path
    assert folder is not None
    assert list(folder.glob("*.upload")) == []


def test_the_list_is_newest_first_and_paged_in_the_gateways_spelling(lab: Lab) -> None:
    for number in range(5):
        lab.uploaded(png(), f"{number}.png")
    page = lab.get("/api/v1/files/list", page=2, pageSize=2)["data"]
    assert page["total"] == 5
    assert [file["file_name"] for file in page["files"]] == ["2.png", "1.png"]
    assert page["files"][0].keys() == {"file_id", "file_name", "file_size", "upload_time"}
    assert len(lab.get("/api/v1/files/list", page_size=2)["data"]["files"]) == 5


@pytest.mark.parametrize("query", [{"pageSize": "101"}, {"page": "0"}, {"pageSize": "-1"}])
def test_pages_out_of_range_are_refused(lab: Lab, query: dict[str, str]) -> None:
    response = lab.http.get("/api/v1/files/list", params=query)
    assert (response.status_code, code(response)) == (400, 400)


def test_files_expire_after_72_hours(lab: Lab) -> None:
    data = lab.uploaded(png())
    lab.advance(259_190)
    assert lab.open(data["file_url"]).status_code == 200
    lab.advance(20)
    expired = lab.open(data["file_url"])
    assert (expired.status_code, expired.headers["content-type"]) == (403, "application/xml")
    assert lab.get("/api/v1/files/list")["data"]["total"] == 0
    assert lab.get("/api/v1/files/quota")["data"]["used_files"] == 0
    assert lab.http.delete(f"/api/v1/files/{data['file_id']}").status_code == 404


def test_a_deleted_file_is_gone_for_good(lab: Lab) -> None:
    data = lab.uploaded(png())
    assert lab.http.delete(f"/api/v1/files/{data['file_id']}").json()["success"] is True
    assert lab.open(data["file_url"]).status_code == 404
    again = lab.http.delete(f"/api/v1/files/{data['file_id']}")
    assert (again.status_code, code(again)) == (404, 404)


def test_files_belong_to_the_key_that_sent_them(lab: Lab) -> None:
    mine = lab.uploaded(png(), "a.png")
    files = {"file": ("a.png", png(colour="red"))}
    theirs = lab.http.post(STREAM, files=files, headers={"authorization": f"Bearer {OTHER_KEY}"}).json()["data"]
    assert mine["file_url"] != theirs["file_url"]
    assert lab.as_other("GET", "/api/v1/files/list").json()["data"]["total"] == 1
    assert lab.as_other("DELETE", f"/api/v1/files/{mine['file_id']}").status_code == 404
    assert lab.open(mine["file_url"]).content == png()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", BASE64),
        ("POST", STREAM),
        ("POST", URL),
        ("GET", "/api/v1/files/list"),
        ("GET", "/api/v1/files/quota"),
        ("DELETE", "/api/v1/files/file_1"),
    ],
)
def test_a_missing_key_is_refused_in_the_envelope(lab: Lab, method: str, path: str) -> None:
    response = lab.http.request(method, path, headers={"authorization": ""})
    assert (response.status_code, code(response)) == (401, 401)
    assert response.json()["msg"].endswith(f"(request id: {response.headers['x-request-id']})")
