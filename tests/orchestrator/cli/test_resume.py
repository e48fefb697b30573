"""`muster resume` and `muster stop --finish`, as far as they are the command line's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from muster_command import Muster
from muster_processes import until
from running import Host

from relay.wire.agents import Mode, Status


@pytest.fixture
def host(speaking_host: Host) -> Host:
    return speaking_host


@pytest.fixture
def here(host: Host, tmp_path: Path) -> Muster:
    """`muster` at that host, in a folder where none of its agents is."""
    return Muster(host.home, cwd=str(tmp_path))


def test_what_is_not_given_is_as_it_was(here: Muster, host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    fields = {"approval_mode": "read-only", "label": "fixer", "tags": ["t"]}
    old = host.ended(host.spawn(provider="claude", prompt="hello", cwd=str(folder), **fields).id)

    done = here("resume", "fixer", "go", "on", "--wait", "ended")

    assert (done.code, done.err) == (0, "")
    new = host.get(done.out.decode().strip())
    assert (new.resumed_from, new.title, new.result) == (old.id, "go on", "heard go on")
    assert (new.mode, new.cwd, new.approval_mode, new.label) == (
        Mode.HEADLESS,
        str(folder),
        "read-only",
        "fixer",
    )


def test_without_a_prompt_a_headless_one_needs_a_conversation(
    here: Muster, host: Host, tmp_path: Path
) -> None:
    old = host.ended(host.spawn(provider="claude", prompt="hello", cwd=str(tmp_path)).id)
    refused = here("resume", old.id)
    assert refused.code == 2
    assert "there is no prompt" in refused.err

    agent_id = here("resume", old.id, "--conversation").out.decode().strip()
    assert here("send", agent_id, "hi there").out.startswith(b"submitted: its CLI has begun a turn")
    until(lambda: host.get(agent_id).result == "heard hi there", "the answer")
    wrong = here("send", agent_id, "--keys", "Enter")
    assert wrong.code == 2
    assert "are for terminals" in wrong.err
    assert b"ends after its turn" in here("stop", "--finish", agent_id).out
    assert host.ended(agent_id).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "which agent?"), (("x", "--place", "a=b"), "--place"), (("x", "--wait", "long"), "is none of")],
)
def test_what_cannot_be_meant_is_refused(here: Muster, words: tuple[str, ...], said: str) -> None:
    refused = here("resume", *words)
    assert refused.code == 2
    assert said in refused.err


def test_who_follows_is_named_and_can_be_called_off(here: Muster, host: Host) -> None:
    first = here("spawn", "--restart", "on-failure", "--restart-limit", "1", "--", "false").text.strip()
    waited = here("wait", first)
    assert waited.code == 1
    assert "is started in its place at" in waited.err or "was followed by" in waited.err
    until(lambda: host.get(first).restarted_as, "the successor")
    assert f"; {host.get(first).restarted_as} was started in its place" in here("stop", first).text

    patient = here("run", "-p", "claude", "--label", "patient", "--on-rate-limit", "resume", "limit:0")
    assert patient.code == 1
    assert "rate limited" in patient.err
    assert host.get("patient").restart_at is not None
    assert "nothing is started in its place any more" in here("stop", "patient").text
    assert host.get("patient").restart_at is None
    assert "stopped by local" in here("show", "patient").text
