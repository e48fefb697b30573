"""What is written down about a run when its program has ended."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from running import Host

from relay.wire.agents import Status

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
        ended = host.ended(host.spawn(provider="claude", prompt="hi").id)
    finally:
        host.end_agents()

    assert (ended.status, ended.result, ended.provider_session_id) == (status, result, "s-1")
    assert ended.cause is not None
    assert ("no end" in ended.cause.message) is (status is Status.FAILED)
