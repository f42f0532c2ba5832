"""What the sandbox's tests share: a client with a key, the control endpoint, bounded waiting, file samples."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import httpx2
from PIL import Image

from evolink_mcp.sandbox.serve import RunningSandbox

KEY = "sk-test-one"
OTHER_KEY = "sk-test-two"
PAID = {"image": "/v1/images/generations", "video": "/v1/videos/generations", "audio": "/v1/audios/generations"}

Answer = dict[str, Any]

MP4_HEAD = b"\x00\x00\x00\x20ftypisom" + bytes(40)


class Lab:
    """One sandbox and a client of it."""

    def __init__(self, running: RunningSandbox) -> None:
        self.url = running.url
        self.sandbox = running.sandbox
        self.http = httpx2.Client(
            base_url=self.url, headers={"authorization": f"Bearer {KEY}"}, timeout=20, trust_env=False
        )

        self._anybody = httpx2.Client(timeout=20, trust_env=False)

    def close(self) -> None:
        self.http.close()
        self._anybody.close()

    def get(self, path: str, **query: str | int) -> Answer:
        return self._read(self.http.get(path, params=query))

    def post(self, path: str, body: object) -> Answer:
        return self._read(self.http.post(path, json=body))

    def as_other(self, method: str, path: str, body: object = None) -> httpx2.Response:
        return self.http.request(method, path, json=body, headers={"authorization": f"Bearer {OTHER_KEY}"})

    def submit(self, kind: str, model: str, **body: object) -> Answer:
        return self.post(PAID[kind], {"model": model, "prompt": "a red kite over the sea", **body})

    def refused(self, kind: str, model: object, **body: object) -> Answer:
        """The error of a submission that must be refused as a bad request."""
        response = self.http.post(PAID[kind], json={"model": model, "prompt": "a red kite", **body})
        assert response.status_code == 400, response.text
        return cast("Answer", response.json()["error"])

    def make(self, kind: str, model: str, **body: object) -> Answer:
        """Submit, and wait until the task has ended."""
        return self.ended(self.submit(kind, model, **body)["id"])

    def task(self, ident: str) -> Answer:
        return self.get(f"/v1/tasks/{ident}")

    def ended(self, ident: str) -> Answer:
        """The task once its files exist; rendering is the only thing here that takes real time."""
        assert self.sandbox.renderer.wait(30)
        task = self.task(ident)
        assert task["status"] not in ("pending", "processing"), task
        return task

    def hidden_link(self, ident: str) -> str:
        """The link of a task's first file, once that exists, whatever the clock says."""
        assert self.sandbox.renderer.wait(30)
        return next(task for task in self.sandbox.tasks.all() if task.id == ident).urls(self.url)[0]

    def open(self, link: str) -> httpx2.Response:
        """What anybody gets who has a link."""
        return self._anybody.get(link)

    def result(self, task: Answer, number: int = 0) -> httpx2.Response:
        response = self.open(task["results"][number])
        assert response.status_code == 200, response.text
        return response

    def picture(self, task: Answer, number: int = 0) -> Image.Image:
        return Image.open(io.BytesIO(self.result(task, number).content))

    def upload(self, content: bytes, name: str = "a.png", **form: str) -> httpx2.Response:
        return self.http.post("/api/v1/files/upload/stream", files={"file": (name, content)}, data=form)

    def uploaded(self, content: bytes, name: str = "a.png", **form: str) -> Answer:
        return cast("Answer", self._read(self.upload(content, name, **form))["data"])

    def control(self, method: str, what: str, body: object = None) -> Answer:
        return self._read(self.http.request(method, f"/_sandbox/{what}", json=body))

    def fault(self, route: str, kind: str, **parameters: object) -> Answer:
        return self.control("POST", "faults", {"route": route, "kind": kind, **parameters})

    def advance(self, seconds: float) -> None:
        self.control("POST", "clock", {"advance_seconds": seconds})

    def config(self, **values: float) -> Answer:
        return self.control("PATCH", "config", values)

    def paid(self) -> int:
        return int(self.control("GET", "ledger")["paid_tasks"])

    @staticmethod
    def _read(response: httpx2.Response) -> Answer:
        assert response.is_success, response.text
        return cast("Answer", response.json())


def png(width: int = 40, height: int = 30, colour: str = "teal") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def saved(response: httpx2.Response, folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(response.content)
    return path
