"""A host refuses by name of the rule, whatever the relay says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec import structs

from orchestrator.config import Policy
from orchestrator.policy import (
    check_keys,
    check_request,
    check_terminal,
    confine,
    cost_usd,
    limits,
    timeout_ms,
    turns,
    uncounted,
)
from relay.wire.agents import Mode, SpawnRequest
from relay.wire.errors import ApiError, Code
from spawners.limits import Limits


def refused(
    policy: Policy, request: SpawnRequest, *, running: int = 0, remote: bool = False, draining: bool = False
) -> str:
    with pytest.raises(ApiError) as error:
        check_request(policy, request, running=running, remote=remote, draining=draining)
    assert error.value.code is Code.POLICY_REFUSED
    return str(error.value.details["rule"])


REQUEST = SpawnRequest(argv=["true"], approval_mode="open", env={"FOO": "1"})


def test_the_default_allows_the_ordinary() -> None:
    check_request(Policy(), REQUEST, running=0, remote=True, draining=False)


def test_each_rule_is_named() -> None:
    assert refused(Policy(providers=["claude"]), REQUEST) == "policy.providers"
    assert refused(Policy(env_allow=["BAR", "X_*"]), REQUEST) == "policy.env_allow"
    assert refused(Policy(approval_max="guarded"), REQUEST) == "policy.approval_max"
    assert refused(Policy(max_agents=2), REQUEST, running=2) == "policy.max_agents"
    assert refused(Policy(remote_spawns="deny"), REQUEST, remote=True) == "policy.remote_spawns"
    assert refused(Policy(), REQUEST, draining=True) == "drain"


def test_a_terminal_that_is_an_argv_is_a_command_like_any_other() -> None:
    argv = "sh -c 'anything at all' {command}"
    shown = SpawnRequest(provider="claude", prompt="x", mode=Mode.TERMINAL, terminal=argv)
    check_request(Policy(), shown, running=0, remote=True, draining=False)
    only_claude = Policy(providers=["claude"])
    assert refused(only_claude, shown) == "policy.providers"
    named = structs.replace(shown, terminal="kitty")
    check_request(only_claude, named, running=0, remote=True, draining=False)
    with pytest.raises(ApiError, match=r"policy\.remote_spawns"):
        check_terminal(Policy(remote_spawns="deny"), argv, remote=True)
    check_terminal(Policy(remote_spawns="deny"), "kitty", remote=True)


def test_no_spawn_can_pose_as_another_agent() -> None:
    assert (
        refused(Policy(), SpawnRequest(argv=["true"], env={"MUSTER_AGENT_ID": "ag-0"})) == "policy.env_allow"
    )


def test_no_key_is_taken_from_elsewhere() -> None:
    request = SpawnRequest(provider="codex", prompt="x", env={"FOO": "1", "CODEX_API_KEY": "k"})
    with pytest.raises(ApiError, match=r"CODEX_API_KEY holds a key.*secrets\.env") as error:
        check_keys(request, ["OPENAI_API_KEY", "CODEX_*"], remote=True)
    assert (error.value.code, error.value.details["rule"]) == (Code.POLICY_REFUSED, "keys")
    check_keys(request, ["OPENAI_API_KEY", "CODEX_*"], remote=False)
    check_keys(REQUEST, ["OPENAI_API_KEY"], remote=True)


def test_patterns_match_whole_names() -> None:
    check_request(Policy(env_allow=["F*"]), REQUEST, running=0, remote=False, draining=False)
    assert refused(Policy(env_allow=["FO"]), REQUEST) == "policy.env_allow"


def test_an_unknown_approval_mode_is_a_mistake_and_not_a_refusal() -> None:
    with pytest.raises(ApiError) as error:
        check_request(
            Policy(), SpawnRequest(argv=["x"], approval_mode="yolo"), running=0, remote=False, draining=False
        )
    assert error.value.code is Code.INVALID


def test_a_symlink_does_not_lead_out_of_the_base(tmp_path: Path) -> None:
    base, outside = tmp_path / "base", tmp_path / "outside"
    base.mkdir()
    outside.mkdir()
    (base / "door").symlink_to(outside)
    policy = Policy(base_dirs=[str(base)])
    assert confine(policy, "sub/..", str(base)) == str(base)
    for way_out in ("door", "..", str(outside), "/"):
        with pytest.raises(ApiError) as error:
            confine(policy, way_out, str(base))
        assert error.value.details["rule"] == "policy.base_dirs"


def test_a_base_that_is_itself_a_symlink_works(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    assert confine(Policy(base_dirs=[str(link)]), str(link), "/") == str(real)


def test_a_name_that_begins_alike_is_not_inside(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base-2").mkdir()
    with pytest.raises(ApiError):
        confine(Policy(base_dirs=[str(tmp_path / "base")]), str(tmp_path / "base-2"), "/")


def test_a_cwd_must_be_a_folder_that_exists(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for cwd, words in (
        (str(tmp_path / "nowhere"), "No such file"),
        (str(tmp_path / "file"), "not a folder"),
        ("a\0b", "NUL"),
    ):
        with pytest.raises(ApiError, match=words) as error:
            confine(Policy(), cwd, os.sep)
        assert error.value.code is Code.CWD_INVALID


def test_the_longest_life_is_given_to_those_who_ask_for_none() -> None:
    assert timeout_ms(Policy(), None) is None
    assert timeout_ms(Policy(timeout_max=60), None) == 60_000
    assert timeout_ms(Policy(timeout_max=60), 5_000) == 5_000
    with pytest.raises(ApiError) as error:
        timeout_ms(Policy(timeout_max=60), 61_000)
    assert error.value.details["rule"] == "policy.timeout_max"


def test_answers_and_cost_are_bounded_as_well() -> None:
    free, bound = Policy(), Policy(turns_max=10, cost_max=0.5)
    assert (turns(free, None), turns(free, 99), turns(bound, None), turns(bound, 10)) == (None, 99, 10, 10)
    assert (cost_usd(free, None), cost_usd(bound, None), cost_usd(bound, 0.25)) == (None, 0.5, 0.25)
    for call, rule in (
        (lambda: turns(bound, 11), "turns_max"),
        (lambda: cost_usd(bound, 0.51), "cost_max"),
        (lambda: uncounted(bound, turns=True, cost=False), "turns_max"),
        (lambda: uncounted(bound, turns=False, cost=True), "cost_max"),
    ):
        with pytest.raises(ApiError) as error:
            call()
        assert error.value.details["rule"] == f"policy.{rule}"
    uncounted(free, turns=True, cost=True)
    uncounted(bound, turns=False, cost=False)


def test_limits_are_given_to_those_without_and_bound_those_with() -> None:
    free, bound = Policy(), Policy(memory_max=64 << 20, cpus_max=1.5)
    modest = SpawnRequest(argv=["true"], memory_bytes=32 << 20, cpus=0.5)
    assert limits(free, REQUEST) == Limits()
    assert limits(free, modest) == Limits(32 << 20, 0.5)
    assert limits(bound, REQUEST) == Limits(64 << 20, 1.5)
    assert limits(bound, modest) == Limits(32 << 20, 0.5)
    for request, rule in (
        (SpawnRequest(argv=["true"], memory_bytes=(64 << 20) + 1), "memory_max"),
        (SpawnRequest(argv=["true"], cpus=1.6), "cpus_max"),
    ):
        with pytest.raises(ApiError) as error:
            limits(bound, request)
        assert error.value.details["rule"] == f"policy.{rule}"


@pytest.mark.parametrize(
    "limit", [Limits(memory_bytes=1000), Limits(cpus=0.0001), Limits(cpus=float("nan"))], ids=str
)
def test_a_limit_that_nobody_could_hold_is_invalid(limit: Limits) -> None:
    with pytest.raises(ApiError) as error:
        limits(Policy(), SpawnRequest(argv=["true"], memory_bytes=limit.memory_bytes, cpus=limit.cpus))
    assert error.value.code is Code.INVALID


def test_cpus_are_refused_where_nothing_can_limit_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS: rather refused than silently ignored, by whomever they were asked for."""
    monkeypatch.setattr("spawners.limits.WHY_NO_CPUS", "processor time cannot be limited on this system")
    with pytest.raises(ApiError) as asked:
        limits(Policy(), SpawnRequest(argv=["true"], cpus=1.0))
    assert asked.value.code is Code.INVALID
    with pytest.raises(ApiError) as given:
        limits(Policy(cpus_max=2.0), REQUEST)
    assert given.value.details["rule"] == "policy.cpus_max"
