"""What is written down about a run when its program has ended."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from running import Host

from relay.wire.agents import Mode, Status

BEGUN = {"type": "system", "subtype": "init", "session_id": "s-1"}
ENDED = {"type": "result", "subtype": "success", "is_error": False, "result": "hello", "session_id": "s-1"}


@pytest.mark.parametrize(
    ("events", "status", "result"),
    [
        pytest.param([BEGUN, ENDED], Status.SUCCEEDED, "hello", id="whole"),
        pytest.param([BEGUN], Status.FAILED, None, id="interrupted"),
    ],
)
def test_a_run_without_an_end_has_not_succeeded_although_its_program_exited_0(
    tmp_path: Path, events: list[object], status: Status, result: str | None
) -> None:
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    said = "\n".join(json.dumps(event) for event in events)
    program.write_text(f"#!/bin/sh\ncat > /dev/null\ncat <<'END'\n{said}\nEND\n")
    program.chmod(0o755)
    host = Host(tmp_path / "host", PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    try:
        host.start()
        ended = host.ended(host.spawn(provider="claude", prompt="hi", ask=False).id)
    finally:
        host.end_agents()

    assert (ended.status, ended.result, ended.provider_session_id) == (status, result, "s-1")
    assert ended.cause is not None
    assert ("no end" in ended.cause.message) is (status is Status.FAILED)


def test_the_last_output_of_a_terminal_is_what_it_showed(tmp_path: Path) -> None:
    script = r"printf '\033[2J\033[31mgone\033[Hwhat \033[1mwas\033[0m shown\n'; exit 3"
    host = Host(tmp_path / "host")
    try:
        host.start()
        ended = host.ended(host.spawn("sh", "-c", script, mode=Mode.EMBEDDED).id)
    finally:
        host.end_agents()

    assert ended.cause is not None
    assert (ended.cause.exit_code, ended.cause.output_tail) == (3, "what was shown")
    assert ended.size == {"rows": 24, "columns": 80}


def test_a_provider_s_terminal_is_not_read_as_its_stream(tmp_path: Path) -> None:
    """What claude prints headless means nothing on a screen: there its exit code is all the evidence."""
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    said = json.dumps(BEGUN)
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    host = Host(tmp_path / "host", PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    try:
        host.start()
        ended = host.ended(host.spawn(provider="claude", mode=Mode.EMBEDDED).id)
    finally:
        host.end_agents()

    assert (ended.status, ended.result) == (Status.SUCCEEDED, None)


def test_what_a_run_leaves_behind_does_not_hold_back_its_verdict(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    said = "\n".join(json.dumps(event) for event in (BEGUN, ENDED))
    program.write_text(f"#!/bin/sh\ncat > /dev/null\nsleep 1000 &\ncat <<'END'\n{said}\nEND\n")
    program.chmod(0o755)
    host = Host(tmp_path / "host", PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    try:
        host.start()
        ended = host.ended(host.spawn(provider="claude", prompt="hi", ask=False, leftovers="keep").id, 20)
    finally:
        host.end_agents()

    assert (ended.status, ended.result) == (Status.SUCCEEDED, "hello")
