"""What is written down about a run when its program has ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from running import Host

from relay.wire.agents import Mode, Status

BEGUN = {"type": "system", "subtype": "init", "session_id": "s-1"}
ENDED = {"type": "result", "subtype": "success", "is_error": False, "result": "hello", "session_id": "s-1"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One on whose PATH `claude` is the shell script in FAKE_SCRIPT."""
    folder = tmp_path_factory.mktemp("host")
    program = folder / "bin" / "claude"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\neval "$FAKE_SCRIPT"\n')
    program.chmod(0o755)
    found = Host(folder / "home", PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    found.start()
    yield found
    found.end_agents()


def says(*events: object) -> str:
    """The script of a `claude` that reads its prompt and prints these events."""
    lines = "\n".join(json.dumps(event) for event in events)
    return f"cat > /dev/null\ncat <<'END'\n{lines}\nEND\n"


@pytest.mark.parametrize(
    ("events", "status", "result"),
    [
        pytest.param([BEGUN, ENDED], Status.SUCCEEDED, "hello", id="whole"),
        pytest.param([BEGUN], Status.FAILED, None, id="interrupted"),
    ],
)
def test_a_run_without_an_end_has_not_succeeded_although_its_program_exited_0(
    host: Host, events: list[object], status: Status, result: str | None
) -> None:
    env = {"FAKE_SCRIPT": says(*events)}

    ended = host.ended(host.spawn(provider="claude", prompt="hi", ask=False, env=env).id)

    assert (ended.status, ended.result, ended.provider_session_id) == (status, result, "s-1")
    assert ended.cause is not None
    assert ("no end" in ended.cause.message) is (status is Status.FAILED)


def test_the_last_output_of_a_terminal_is_what_it_showed(host: Host) -> None:
    script = r"printf '\033[2J\033[31mgone\033[Hwhat \033[1mwas\033[0m shown\n'; exit 3"

    ended = host.ended(host.spawn("sh", "-c", script, mode=Mode.EMBEDDED).id)

    assert ended.cause is not None
    assert (ended.cause.exit_code, ended.cause.output_tail) == (3, "what was shown")
    assert ended.size == {"rows": 24, "columns": 80}


def test_a_provider_s_terminal_is_not_read_as_its_stream(host: Host) -> None:
    """What claude prints headless means nothing on a screen: there its exit code is all the evidence."""
    env = {"FAKE_SCRIPT": f"echo '{json.dumps(BEGUN)}'"}

    ended = host.ended(host.spawn(provider="claude", mode=Mode.EMBEDDED, env=env).id)

    assert (ended.status, ended.result) == (Status.SUCCEEDED, None)


def test_what_a_run_leaves_behind_does_not_hold_back_its_verdict(host: Host) -> None:
    env = {"FAKE_SCRIPT": "cat > /dev/null\nsleep 1000 &\n" + says(BEGUN, ENDED)}
    asked = host.spawn(provider="claude", prompt="hi", ask=False, leftovers="keep", env=env)

    ended = host.ended(asked.id, 20)

    assert (ended.status, ended.result) == (Status.SUCCEEDED, "hello")
