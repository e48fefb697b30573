"""Every family of failure has its exit code and one line on stderr."""

from __future__ import annotations

import pytest
from local_api import FakeServer
from muster_command import Muster

from orchestrator.cli.failures import explain
from orchestrator.config import Config, Relay
from orchestrator.relay_address import relay_token
from relay.wire.endpoints import GET_AGENT, LIST_AGENTS
from relay.wire.errors import ApiError, Code

EXPECTED = {
    2: {
        Code.MALFORMED,
        Code.INVALID,
        Code.UNKNOWN_PROVIDER,
        Code.CWD_INVALID,
        Code.TOO_LARGE,
        Code.AMBIGUOUS,
    },
    3: {Code.NOT_FOUND, Code.UNKNOWN_ORCHESTRATOR},
    4: {Code.HOST_OFFLINE, Code.UNAVAILABLE, Code.TIMEOUT},
    5: {Code.POLICY_REFUSED, Code.FORBIDDEN, Code.UNAUTHORIZED},
}


def expected(code: Code) -> int:
    return next((number for number, codes in EXPECTED.items() if code in codes), 1)


def test_every_error_code_of_the_wire_has_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    found = {}
    for code in Code:
        found[code] = explain(ApiError(code, f"about {code}: do this"))
        assert capsys.readouterr() == ("", f"muster: about {code}: do this\n")
    assert found == {code: expected(code) for code in Code}


@pytest.mark.parametrize(
    "code", [Code.INVALID, Code.NOT_FOUND, Code.TIMEOUT, Code.POLICY_REFUSED, Code.CONFLICT]
)
def test_the_command_exits_with_that(code: Code, muster: Muster, daemon: FakeServer) -> None:
    daemon.on(GET_AGENT, ApiError(code, "do this"))

    said = muster("show", "ag-1")

    assert (said.code, said.out, said.err) == (expected(code), b"", "muster: do this\n")


def test_nothing_running_is_unreachable_and_says_what_to_start(muster: Muster) -> None:
    said = muster("ps")

    assert (said.code, said.err) == (4, "muster: nothing is running here: `muster up`\n")


def test_a_relay_that_is_away_is_unreachable_and_named(muster: Muster) -> None:
    muster.variables["MUSTER_RELAY_URL"] = "http://127.0.0.1:9"

    said = muster("ps", "-r")

    assert said.code == 4
    assert "http://127.0.0.1:9" in said.err
    assert "muster config get relay.url" in said.err


def test_no_start_starts_nothing(muster: Muster) -> None:
    assert muster("spawn", "--no-start", "--", "true").code == 4
    assert muster("run", "--no-start", "--", "true").code == 4


@pytest.mark.parametrize(
    "words",
    [
        ["bogus"],
        ["show"],
        ["spawn"],
        ["spawn", "--"],
        ["spawn", "a prompt without a provider"],
        ["spawn", "--provider", "claude"],
        ["spawn", "--provider", "claude", "--", "true"],
        ["spawn", "--provider", "command", "words"],
        ["spawn", "both", "--", "true"],
        ["spawn", "--timeout", "soon", "--", "true"],
        ["spawn", "--env", "=x", "--", "true"],
        ["spawn", "--env", "NO_SUCH_VARIABLE_HERE", "--", "true"],
        ["spawn", "--mode", "sideways", "--", "true"],
        ["spawn", "--wait", "forever", "--", "true"],
        ["spawn", "--provider", "claude", "--max-cost", "nan", "words"],
        ["spawn", "--provider", "claude", "--prompt-file", "/does/not/exist"],
        ["spawn", "--provider", "claude", "--prompt-file", "/etc/hostname", "words"],
        ["run", "--stdin", "/does/not/exist", "--", "true"],
        ["logs", "x", "--tail", "1", "--offset", "2"],
        ["send", "x"],
        ["send", "\udcff", "text in bytes that are no UTF-8"],
        ["deny", "x", "--reason", "\udcff"],
        ["wait", "x", "--for", "godot"],
        ["stop", "x", "--grace", "-1"],
        ["token", "create", "--scope", "agent"],
        ["config", "set", "no.such.key", "1"],
        ["config", "set", "policy.max_agents", "many"],
        ["up", "--port", "0"],
    ],
)
def test_wrong_usage_exits_2_before_anything_is_asked(
    muster: Muster, daemon: FakeServer, words: list[str]
) -> None:
    said = muster(*words)

    assert (said.code, said.out) == (2, b"")
    assert said.err.strip()
    assert daemon.calls == []


def test_a_broken_config_file_names_its_line(muster: Muster) -> None:
    with open(muster.home.config_file, "w", encoding="utf-8") as file:
        file.write("[policy]\n\nmax_agent = 3\n")

    said = muster("ps")

    assert said.code == 2
    assert f"{muster.home.config_file}:3" in said.err
    assert "policy.max_agents" in said.err


def test_a_server_that_is_no_muster_is_said_so(muster: Muster, relay: FakeServer) -> None:
    muster.variables["MUSTER_RELAY_URL"] = relay.url + "/elsewhere"

    said = muster("ps", "-r")

    assert said.code == 1
    assert "no Muster server" in said.err


def test_the_embedded_relays_token_stays_on_this_machine(muster: Muster, relay: FakeServer) -> None:
    relay.on(LIST_AGENTS, [])
    muster.home.write_private(muster.home.admin_token_file, "mst_secret\n")
    muster.variables["MUSTER_RELAY_URL"] = relay.url
    assert muster("ps", "-r").code == 0
    assert relay.tokens == ["mst_secret"]

    config = Config(relay=Relay(url="https://relay.example"))
    assert relay_token(muster.home, config, "https://relay.example") is None
    assert relay_token(muster.home, config, "https://127.0.0.1.example") is None

    muster.variables["MUSTER_TOKEN"] = "mst_given"
    assert muster("ps", "-r").code == 0
    assert relay.tokens[-1] == "mst_given"


@pytest.mark.parametrize("name", ["", " ", ".", ".."])
def test_what_can_be_no_agent_is_a_wrong_use(muster: Muster, name: str) -> None:
    """An empty shell variable, say: as a path of the API it would be another call."""
    for command in (("show", name), ("stop", "ag-1", name), ("attach", name)):
        said = muster(*command)
        assert said.code == 2
        assert "names nothing here" in said.err
