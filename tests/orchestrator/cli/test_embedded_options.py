"""The options of an embedded agent: what they ask for, and what they refuse before anything is started."""

from __future__ import annotations

import pytest
from local_api import FakeServer, an_agent
from muster_command import Muster

from relay.wire.agents import Mode, SpawnResponse
from relay.wire.endpoints import SPAWN


@pytest.fixture
def spawns(daemon: FakeServer) -> FakeServer:
    daemon.on(SPAWN, SpawnResponse(agent=an_agent(mode=Mode.EMBEDDED)))
    return daemon


def test_they_are_asked_for(muster: Muster, spawns: FakeServer) -> None:
    said = muster(
        "spawn", "--mode", "embedded", "--size", "120x40", "--sizing", "smallest",
        "--memory", "1.5G", "--cpus", "0.5", "--", "vim",
    )  # fmt: skip

    assert (said.code, said.err) == (0, "")
    asked = spawns.made(SPAWN)[0].body
    assert (asked.mode, asked.argv, asked.prompt) == (Mode.EMBEDDED, ["vim"], None)
    assert (asked.size, asked.sizing) == ({"rows": 40, "columns": 120}, "smallest")
    assert (asked.memory_bytes, asked.cpus) == (1610612736, 0.5)


def test_without_them_the_host_decides_the_size_and_the_settings_the_sizing(
    muster: Muster, spawns: FakeServer
) -> None:
    muster.variables["MUSTER_TERMINAL_SIZING"] = "smallest"

    muster("spawn", "--mode", "embedded", "-p", "claude")

    asked = spawns.made(SPAWN)[0].body
    assert (asked.provider, asked.prompt, asked.argv) == ("claude", None, None)
    assert (asked.size, asked.sizing, asked.memory_bytes, asked.cpus) == (None, "smallest", None, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--mode", "embedded", "--size", "80"), "COLUMNSxROWS"),
        (("--mode", "embedded", "--size", "0x24"), "from 1 to 1000"),
        (("--mode", "embedded", "--size", "80x1001"), "from 1 to 1000"),
        (("--mode", "embedded", "--sizing", "biggest"), "active or smallest"),
        (("--mode", "embedded", "--stdin", "-"), "reads its terminal"),
        (("--mode", "embedded", "--stdin-live"), "reads its terminal"),
        (("--size", "80x24"), "--mode embedded"),
        (("--sizing", "active"), "--mode embedded"),
        (("--memory", "much"), "no amount of memory"),
        (("--cpus", "0"), "more than 0"),
        (("--cpus", "nan"), "more than 0"),
        (("--cpus", "1e9"), "at most 8192"),
        (("--mode", "sideways"), "headless, embedded"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    muster: Muster, spawns: FakeServer, options: tuple[str, ...], said: str
) -> None:
    refused = muster("spawn", *options, "--", "true")

    assert refused.code == 2
    assert said in refused.err
    assert spawns.made(SPAWN) == []
