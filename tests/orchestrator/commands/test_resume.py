"""A conversation goes on as a new agent; what cannot be gone on with is refused with the reason."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from running import Host

from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.errors import ApiError, Code


@pytest.fixture
def host(speaking_host: Host) -> Host:
    return speaking_host


def told(ledger: Path) -> list[list[Any]]:
    return [json.loads(line) for line in ledger.read_text().splitlines()]


def first(host: Host, cwd: Path, **fields: Any) -> ManagedAgent:
    given = {"provider": "claude", "prompt": "hello", "ask": False, "cwd": str(cwd)} | fields
    return host.ended(host.spawn(**given).id)


def test_it_goes_on_with_the_same_session_in_the_same_folder(
    host: Host, ledger: Path, tmp_path: Path
) -> None:
    old = first(host, tmp_path, label="fixer", tags=["t"], approval_mode="read-only", model="haiku")
    assert old.provider_session_id

    new = host.ended(host.spawn(resume="fixer", prompt="go on", ask=False).id)

    assert told(ledger)[-2:] == [["start", old.provider_session_id, True], ["said", "go on"]]
    assert (new.status, new.result, new.resumed_from) == (Status.SUCCEEDED, "heard go on", old.id)
    kept = ("provider", "cwd", "label", "tags", "approval_mode", "provider_session_id")
    assert [getattr(new, name) for name in kept] == [getattr(old, name) for name in kept]
    assert new.id != old.id


def test_the_model_is_the_one_that_was_asked_for(host: Host, tmp_path: Path) -> None:
    old = first(host, tmp_path, model="haiku")
    new = host.spawn(resume=old.id, prompt="go on", ask=False)
    assert (old.model, new.model) == ("fake-1", "haiku")


def test_more_may_be_asked_for_than_it_had(host: Host, tmp_path: Path) -> None:
    old = first(host, tmp_path, approval_mode="read-only")
    new = host.spawn(resume=old.id, prompt="x", approval_mode="guarded", label="other", ask=False)
    assert (new.approval_mode, new.label) == ("guarded", "other")


def refusal(host: Host, **fields: Any) -> ApiError:
    before = len(host.agents())
    with pytest.raises(ApiError) as refused:
        host.spawn(**fields)
    assert len(host.agents()) == before
    return refused.value


def test_what_cannot_be_resumed_is_refused(host: Host, tmp_path: Path) -> None:
    old = first(host, tmp_path)
    command = host.ended(host.spawn("true").id)
    for fields, code, words in (
        ({"resume": "ag-none"}, Code.NOT_FOUND, "no agent"),
        ({"resume": command.id}, Code.CONFLICT, "never said which conversation"),
        ({"resume": old.id, "provider": "codex"}, Code.INVALID, "of claude, not of codex"),
        ({"resume": old.id, "cwd": "/"}, Code.INVALID, f"in {tmp_path}, not in /"),
        ({"resume": old.id, "prompt": None}, Code.INVALID, "prompt"),
    ):
        error = refusal(host, **{"prompt": "x", **fields})
        assert error.code is code
        assert words in error.message


def test_a_folder_that_is_gone_is_named(host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    old = first(host, folder)
    shutil.rmtree(folder)
    error = refusal(host, resume=old.id, prompt="x")
    assert error.code is Code.CWD_INVALID
    assert str(folder) in error.message


def test_two_agents_never_hold_one_conversation(host: Host, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    old = first(host, tmp_path)
    running = host.spawn(resume=old.id, prompt=f"await:{gate}", ask=False)

    again = refusal(host, resume=old.id, prompt="me too")
    itself = refusal(host, resume=running.id, prompt="me too")

    assert (again.code, again.details["holder"]) == (Code.CONFLICT, running.id)
    assert (itself.code, itself.details["status"]) == (Code.CONFLICT, "running")
    gate.write_bytes(b"go")
    assert host.ended(running.id).mode is Mode.HEADLESS
