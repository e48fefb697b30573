"""What the CLIs' hooks run, as they run it: a process that never prints, never fails and never dawdles."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from muster_command import MUSTER

from relay.wire.local import write_local
from spawners.hook import COMMAND, program

STOP = {"hook_event_name": "Stop", "last_assistant_message": "done"}
PATIENCE_S = 5.0
"""For a start of Python on a busy machine; the program itself gives up long before."""


class Daemon:
    """A socket that reads one request and answers it with `answer`, or never."""

    def __init__(self, path: Path, answer: bytes | None) -> None:
        self.path = path
        self.request = b""
        self._answer = answer
        self._listener = self.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen()
        return listener

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            while self._more():
                piece = connection.recv(65536)
                if not piece:
                    return
                self.request += piece
            if self._answer is not None:
                connection.sendall(self._answer)
            connection.recv(1)  # the program has gone

    def _more(self) -> bool:
        head, found, body = self.request.partition(b"\r\n\r\n")
        length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        return not found or len(body) < int(length[0].split(b":")[1])

    def body(self) -> dict[str, Any]:
        self._thread.join(PATIENCE_S)
        found: dict[str, Any] = json.loads(self.request.partition(b"\r\n\r\n")[2])
        return found

    def close(self) -> None:
        self._listener.close()


class DaemonOnLoopback(Daemon):
    """As on systems without unix sockets: a file says where it listens."""

    def listen(self) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", 0))
        write_local(str(self.path), listener.getsockname()[1], "not for agents")
        return listener


@pytest.fixture
def left(tmp_path: Path) -> Path:
    return tmp_path / "hooks.jsonl"


@pytest.fixture
def daemon(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    found = Daemon(tmp_path / "s", getattr(request, "param", b"HTTP/1.1 204 No Content\r\n\r\n"))
    yield found
    found.close()


def run(
    left: Path,
    *words: str,
    program: tuple[str, ...] = COMMAND,
    stdin: bytes | int = b"",
    **variables: str,
) -> float:
    """Run the program and return how long it took."""
    env = {
        "MUSTER_SOCKET": str(left.parent / "s"),
        "MUSTER_AGENT_ID": "ag-0123456789ab",
        "MUSTER_AGENT_TOKEN": "msa_token",
        "MUSTER_HOOKS": str(left),
        **variables,
    }
    began = time.monotonic()
    given: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    done = subprocess.run(
        [*program, *words],
        check=False, capture_output=True, env=env, timeout=60, **given,
    )  # fmt: skip
    took = time.monotonic() - began
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    return took


def lines(left: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in left.read_text().splitlines()] if left.exists() else []


@pytest.mark.parametrize("by", ["stdin", "argument", "muster hook"])
def test_the_daemon_gets_the_message_under_the_agent_s_own_token(by: str, daemon: Daemon, left: Path) -> None:
    text = json.dumps(STOP, indent=1)

    if by == "argument":
        run(left, "notify", text)
    else:
        run(left, stdin=text.encode(), program=(*MUSTER, "hook") if by == "muster hook" else COMMAND)

    assert daemon.body()["payload"] == STOP
    assert abs(daemon.body()["at"] - time.time() * 1000) < 60_000
    assert daemon.request.startswith(b"POST /api/managed-agents/ag-0123456789ab/hooks HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer msa_token\r\n" in daemon.request
    assert lines(left) == []


def test_a_daemon_on_loopback_gets_the_message_too(left: Path) -> None:
    daemon = DaemonOnLoopback(left.parent / "s", b"HTTP/1.1 204 No Content\r\n\r\n")

    run(left, stdin=json.dumps(STOP).encode())

    assert daemon.body()["payload"] == STOP
    assert b"not for agents" not in daemon.request
    assert lines(left) == []
    daemon.close()


@pytest.mark.parametrize("said", ["", '{"port":', '{"port":x,"token":""}', '{"port":99999999,"token":""}'])
def test_a_file_that_names_no_port_is_no_daemon(left: Path, said: str) -> None:
    (left.parent / "s").write_text(said)

    run(left, stdin=json.dumps(STOP).encode())

    assert [line["payload"] for line in lines(left)] == [STOP]


def test_without_a_daemon_the_message_is_left_for_it(left: Path) -> None:
    run(left, stdin=json.dumps(STOP, indent=1).encode())
    run(left, stdin=b'{"second": 2}')

    assert [line["payload"] for line in lines(left)] == [STOP, {"second": 2}]
    assert left.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("daemon", [None], indirect=True)
def test_a_daemon_that_hangs_holds_up_no_cli(daemon: Daemon, left: Path) -> None:
    assert run(left, stdin=json.dumps(STOP).encode()) < program.GIVE_UP_S + PATIENCE_S

    assert lines(left)[0]["payload"] == STOP
    assert lines(left)[0]["at"] == daemon.body()["at"]  # so that it is known for the same message


@pytest.mark.parametrize("daemon", [b"HTTP/1.1 403 Forbidden\r\n\r\n"], indirect=True)
def test_what_the_daemon_refuses_is_not_kept_for_it(daemon: Daemon, left: Path) -> None:
    run(left, stdin=b"{}")

    assert daemon.body()["payload"] == {}
    assert lines(left) == []


@pytest.mark.parametrize("daemon", [b"HTTP/1.1 409 Conflict\r\n\r\n"], indirect=True)
def test_what_the_daemon_cannot_take_yet_is_kept_for_it(daemon: Daemon, left: Path) -> None:
    run(left, stdin=b"{}")

    assert lines(left)[0]["payload"] == {}


def test_a_hook_whose_stdin_stays_open_says_nothing_and_ends(left: Path) -> None:
    reading, writing = socket.socketpair()
    writing.sendall(b'{"half":')

    assert run(left, stdin=reading.fileno()) < program.GIVE_UP_S + PATIENCE_S

    assert lines(left) == []


@pytest.mark.parametrize("stdin", [b"", b"not JSON", b"[1]", b"\xff\xfe{", b"{" * (program.MAX_MESSAGE + 1)])
def test_what_is_no_message_is_dropped(stdin: bytes, left: Path) -> None:
    run(left, stdin=stdin)

    assert lines(left) == []


def test_a_huge_message_keeps_what_matters(daemon: Daemon, left: Path) -> None:
    huge = {"hook_event_name": "PreToolUse", "tool_input": {"parts": ["x" * program.MAX_MESSAGE]}}

    run(left, stdin=json.dumps(huge).encode())

    payload = daemon.body()["payload"]
    assert payload["hook_event_name"] == "PreToolUse"
    assert payload["tool_input"]["parts"][0].startswith("xxx")
    assert len(daemon.request) < 4 * program.LONG


def test_the_file_that_nobody_reads_does_not_grow_for_ever(left: Path) -> None:
    left.write_bytes(b"x" * (program.MAX_FILE + 1))

    run(left, stdin=b'{"new": 1}')

    assert [line["payload"] for line in lines(left)] == [{"new": 1}]
    assert left.with_name("hooks.jsonl.old").stat().st_size == program.MAX_FILE + 1


def test_nowhere_to_say_it_is_no_error_either(tmp_path: Path) -> None:
    run(tmp_path / "missing" / "file", stdin=b"{}", MUSTER_SOCKET="")
