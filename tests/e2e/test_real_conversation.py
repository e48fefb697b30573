"""A conversation with the real claude, held from afar, across a `kill -9` of its daemon, and resumed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from muster_processes import until
from running import Host, RelayServer, environment
from stub_fixtures import StubModel

from relay.wire.health import Scope


@pytest.mark.needs("claude")
def test_it_goes_on_over_a_killed_daemon_and_is_resumed_after_its_end(
    model: StubModel, home: Path, relay: RelayServer, make_member: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_member("b", **model.environment(home))
    work = tmp_path / "work"
    work.mkdir()
    token = relay.new_token(Scope.OPERATOR)
    variables = environment(tmp_path / "elsewhere", MUSTER_RELAY_URL=relay.url, MUSTER_TOKEN=token)

    def muster(*words: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "orchestrator.cli.main", *words],
            env=variables, text=True, cwd=tmp_path, capture_output=True, timeout=100, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
        return ran.stdout

    def answered(text: str) -> None:
        until(lambda: relay.get("talk").result == text, f"the answer {text!r}")

    options = ("--host", "b", "-p", "claude", "--cwd", str(work), "--label", "talk", "--conversation")
    first = muster("spawn", *options, "--json", "NONCE=one")
    answered("PONG one")
    assert muster("send", "talk", "NONCE=two").startswith("submitted: ")
    answered("PONG two")
    host.kill()
    host.start()
    relay.wait_for_host("b")
    assert muster("send", "talk", "NONCE=three").startswith("submitted: ")
    answered("PONG three")
    muster("stop", "talk", "--finish")
    assert "succeeded" in muster("wait", "talk")

    again = json.loads(muster("resume", "talk", "--json", "--wait", "ended", "NONCE=four"))

    before = json.loads(first)
    assert (again["status"], again["result"], again["resumedFrom"]) == (
        "succeeded",
        "PONG four",
        before["id"],
    )
    assert again["providerSessionId"] == relay.get(before["id"]).provider_session_id
    asked = model.request()
    while "NONCE=four" not in json.dumps(asked):
        asked = model.request()
    for nonce in ("one", "two", "three"):
        assert json.dumps(asked).count(f"NONCE={nonce}") == 1  # the model sees the whole conversation, once
