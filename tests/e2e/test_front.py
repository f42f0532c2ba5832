"""The front over the real process: what a second start answers from memory, and what it never does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.raw import LEGACY, envelope, environment
from tests.support import KEY, Sandbox

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the folder of another system")

CLIENT = {"protocolVersion": LEGACY[-1], "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
MARK = "as it was last time"
Message = dict[str, Any]


def request(number: int, method: str, **params: Any) -> Message:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def notification(method: str, **params: Any) -> Message:
    return {"jsonrpc": "2.0", "method": method, "params": params}


INITIALIZED = notification("notifications/initialized")
HELLO = [request(1, "initialize", **CLIENT), INITIALIZED]
LISTS = [
    request(2, "tools/list"),
    request(3, "prompts/list"),
    request(4, "resources/list"),
    request(5, "resources/templates/list"),
]
CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


class Machine:
    """A user's machine, on which the program is started now and again."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.env = environment({"XDG_CACHE_HOME": str(folder), **settings})
        self.cache = folder / "evolink-mcp"

    def start(self, *messages: Message | str, words: tuple[str, ...] = (), **settings: str) -> list[Any]:
        """Starts the program with these lines in its stdin; what it wrote, once it has ended."""
        lines = [each if isinstance(each, str) else json.dumps(each) for each in messages]
        done = subprocess.run(
            [sys.executable, "-m", "evolink_mcp", *words],
            input="".join(f"{line}\n" for line in lines),
            env={**self.env, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    @property
    def file(self) -> Path:
        (file,) = self.cache.glob("*.json")
        return file

    def mark(self) -> None:
        """Marks the tools in memory, so that an answer out of it shows."""
        answers = json.loads(self.file.read_text(encoding="utf-8"))
        for answer in answers.values():
            if "tools" in answer:
                answer["tools"][0]["title"] = MARK
        self.file.write_text(json.dumps(answers), encoding="utf-8")


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of a machine on which the program was started once, and the tools in its memory are marked."""
    folder = tmp_path_factory.mktemp("used")
    machine = Machine(folder)
    machine.start(*HELLO, *LISTS)
    machine.mark()
    return folder


@pytest.fixture
def machine(tmp_path: Path, used: Path) -> Machine:
    """Such a machine."""
    shutil.copytree(used, tmp_path / "cache")
    return Machine(tmp_path / "cache")


def is_marked(answers: list[Any]) -> bool:
    return MARK in json.dumps(answers)


def test_a_second_start_says_what_the_first_one_said(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "cache")
    first, second = (machine.start(*HELLO, *LISTS, request(6, "ping")) for _ in range(2))
    assert [answer["id"] for answer in second] == [1, 2, 3, 4, 5, 6]
    assert sorted(first, key=lambda answer: answer["id"]) == second
    assert [each.name for each in machine.cache.iterdir()] == [machine.file.name]


def test_a_change_is_told_and_the_next_start_knows_it(machine: Machine) -> None:
    answers = machine.start(*HELLO, *LISTS)
    assert is_marked(answers)
    assert [answer for answer in answers if "id" not in answer] == [CHANGED]
    assert not is_marked(machine.start(*HELLO, *LISTS))


def test_a_client_that_asks_otherwise_is_answered_by_the_server(machine: Machine) -> None:
    older = request(1, "initialize", **{**CLIENT, "protocolVersion": LEGACY[0]})
    answers = machine.start(older, INITIALIZED, request(2, "tools/list"))
    assert answers[0]["result"]["protocolVersion"] == LEGACY[0]
    assert not is_marked(answers)
    assert "outputSchema" not in json.dumps(answers)


def test_the_later_protocol_has_answers_of_its_own(machine: Machine) -> None:
    asked = [request(0, "server/discover", _meta=envelope()), request(1, "tools/list", _meta=envelope())]
    answers = machine.start(*asked)
    assert not is_marked(answers)
    machine.mark()
    again = machine.start(*asked)
    assert is_marked(again)
    assert [answer["id"] for answer in again] == [0, 1]


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ((), {"EVOLINK_TOOLSETS": "all"}),
        ((), {"EVOLINK_API_KEY": "sk-another-key"}),
        ((), {"EVOLINK_FAST_START": "off"}),
        (("--read-only",), {}),
    ],
)
def test_other_settings_have_other_answers(machine: Machine, words: tuple[str, ...], settings: dict[str, str]) -> None:
    assert not is_marked(machine.start(*HELLO, *LISTS, words=words, **settings))


def test_another_folder_has_other_answers(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instructions name the folder that local files may lie in."""
    monkeypatch.chdir(tmp_path)
    answers = machine.start(*HELLO, *LISTS)
    assert not is_marked(answers)
    assert str(tmp_path) in answers[0]["result"]["instructions"]


def test_a_file_that_a_setting_names_counts_with_its_content(tmp_path: Path) -> None:
    models = tmp_path / "models.json"
    models.write_text("{}", encoding="utf-8")
    machine = Machine(tmp_path / "cache", EVOLINK_MODELS_FILE=str(models))
    machine.start(*HELLO, *LISTS)
    machine.mark()
    models.write_text('{"models": {}}', encoding="utf-8")
    assert not is_marked(machine.start(*HELLO, *LISTS))


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[" * 100_000, " " * 1_000_001 + "{}"])
def test_a_damaged_file_is_as_none_and_written_anew(machine: Machine, content: str) -> None:
    machine.file.write_text(content, encoding="utf-8")
    answers = machine.start(*HELLO, *LISTS)
    assert not is_marked(answers)
    assert len(answers) == len(json.loads(machine.file.read_text(encoding="utf-8"))) == 1 + len(LISTS)


def test_a_file_that_others_can_write_is_not_believed(machine: Machine) -> None:
    machine.file.chmod(0o666)
    assert not is_marked(machine.start(*HELLO, *LISTS))
    machine.mark()
    file, elsewhere = machine.file, machine.cache.parent / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    assert not is_marked(machine.start(*HELLO, *LISTS))


def test_a_folder_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", Path("relative")):
        answers = Machine(folder).start(*HELLO, *LISTS)
        assert len(answers) == 1 + len(LISTS)


def test_what_comes_while_the_server_loads_is_answered_as_without_a_front(machine: Machine) -> None:
    odd: list[Message | str] = [
        json.dumps([request(10, "ping"), request(11, "tools/list")]),
        "no json",
        '{"jsonrpc": "2.0", "id": 12}',
        '{"jsonrpc": "2.0", "id": 13, "method": "tools/list", "params": []}',
        request(14, "tools/call", name="list_models", arguments={"query": "veo"}),
        request(15, "tools/list", cursor="none"),
        request(16, "no/such/method"),
        request(17, "initialize", **CLIENT),
        request(18, "ping"),
    ]

    machine.start(*HELLO, *LISTS)  # without the mark
    with_front = machine.start(*HELLO, *odd)
    without = machine.start(*HELLO, *odd, EVOLINK_FAST_START="off")
    assert sorted(map(json.dumps, with_front)) == sorted(map(json.dumps, without))


def test_a_call_that_was_cancelled_while_the_server_loads_is_never_begun(tmp_path: Path, sandbox: Sandbox) -> None:
    settings = {"EVOLINK_BASE_URL": sandbox.url, "EVOLINK_FILES_URL": sandbox.url, "EVOLINK_API_KEY": KEY}
    machine = Machine(tmp_path / "cache", **settings)
    machine.start(*HELLO, *LISTS)
    call = request(7, "tools/call", name="generate_image", arguments={"prompt": "a kite"})
    cancel = notification("notifications/cancelled", requestId=7)
    answers = machine.start(*HELLO, request(2, "tools/list"), call, cancel, request(8, "ping"))
    assert [answer["id"] for answer in answers] == [1, 2, 8]
    assert not sandbox.requests("/v1/images/generations")


def test_a_cancel_whose_id_is_true_cancels_no_call_of_number_one(tmp_path: Path, sandbox: Sandbox) -> None:
    settings = {"EVOLINK_BASE_URL": sandbox.url, "EVOLINK_FILES_URL": sandbox.url, "EVOLINK_API_KEY": KEY}
    machine = Machine(tmp_path / "cache", **settings)
    machine.start(*HELLO, *LISTS)
    call = request(1, "tools/call", name="generate_image", arguments={"prompt": "a kite"})
    cancels = [notification("notifications/cancelled", requestId=each) for each in (True, 1.0)]
    command = [sys.executable, "-m", "evolink_mcp"]
    with subprocess.Popen(
        command, env=machine.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in (*HELLO, request(2, "tools/list"), call, *cancels):
            process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()  # and open: at its end, what was not sent yet is not sent
        answers = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert [answer["id"] for answer in answers] == [1, 2, 1]
    assert sandbox.paid() == 1


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_while_the_server_loads(machine: Machine, ending: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "evolink_mcp"], env=machine.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{json.dumps(HELLO[0])}\n".encode())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        process.send_signal(ending)
        assert process.wait(120) == 0


def test_what_is_kept_holds_no_key_and_is_its_users_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "cache", EVOLINK_API_KEY=KEY, EVOLINK_OUTPUT_DIR=str(tmp_path / "pictures"))
    machine.start(*HELLO, *LISTS)
    assert KEY not in machine.file.read_text(encoding="utf-8")
    assert machine.file.stat().st_mode & 0o777 == 0o600
    assert machine.cache.stat().st_mode & 0o777 == 0o700
    assert os.stat(machine.file).st_size < 20_000
