"""`muster show`: everything that is known of one agent."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.cli.asking import how_to_answer, outcome, pending, what
from orchestrator.cli.output import facts, print_json
from orchestrator.cli.parameters import AgentArg, HostOpt, JsonOpt, RelayOpt
from orchestrator.cli.target import connect
from orchestrator.cli.words import age, because, clock, duration, plain, signal_name, size
from orchestrator.terminal_size import format_size
from relay.wire.agents import ExitFacts, ManagedAgent, Presence, Status
from relay.wire.approvals import ApprovalState
from relay.wire.base import now_ms
from relay.wire.endpoints import GET_AGENT
from relay.wire.windows import Window

__all__ = ["command"]

TAIL_LINES = 10


def command(
    agent: AgentArg, relay_wide: RelayOpt = False, host: HostOpt = None, json: JsonOpt = False
) -> None:
    """Show one agent: its status, why it ended and on what evidence, its times, what it left behind."""
    with connect(relay=relay_wide or host is not None) as server:
        found = server.call(GET_AGENT, path={"id": agent})
    if json:
        print_json(found)
        return
    facts([*_identity(found), *_state(found), *_times(found), *_end(found)])
    if found.cause and found.cause.output_tail and not _answered_well(found):
        print("last output:")
        for line in found.cause.output_tail.splitlines()[-TAIL_LINES:]:
            print(f"  {plain(line)}")


def _answered_well(agent: ManagedAgent) -> bool:
    """Whether there is an answer to read instead of the output: that is a protocol then."""
    return agent.status is Status.SUCCEEDED and bool(agent.result)


def _identity(agent: ManagedAgent) -> Iterator[tuple[str, str]]:
    yield "id", agent.id
    yield "label", agent.label or ""
    yield "what", agent.title
    yield "provider", agent.provider + (f", model {agent.model}" if agent.model else "")
    yield "mode", f"{agent.mode}, approval {agent.approval_mode}"
    if agent.size:
        yield "terminal", format_size(**agent.size)
    if agent.window:
        yield "window", _window(agent.window)
    yield "limits", ", ".join(_limits(agent))
    yield "host", agent.orchestrator_id or "none yet"
    yield "cwd", agent.cwd or ""
    yield "tags", ", ".join(agent.tags)
    yield "environment", ", ".join(agent.env_keys)
    yield "asked by", agent.requested_by or ""
    yield "parent", agent.parent_id or ""


def _window(window: Window) -> str:
    words = [f"{window.terminal or 'none'}, {window.state}"]
    if window.is_open:
        words += [f"pid {window.pid}"] * bool(window.pid) + [window.tty or ""]
        words += ["closing the last one stops the agent"] * (window.on_close == "stop")
    return ", ".join(filter(None, [*words, window.reason or ""]))


def _limits(agent: ManagedAgent) -> Iterator[str]:
    if agent.memory_bytes:
        yield f"{size(agent.memory_bytes)} of memory"
    if agent.cpus:
        yield f"{agent.cpus:g} cores"
    if agent.max_turns:
        yield f"{agent.max_turns} answer{'s' * (agent.max_turns != 1)} of the model"
    if agent.max_cost_usd:
        yield f"{agent.max_cost_usd:g} USD"
    if agent.idle_timeout_ms:
        yield f"{duration(agent.idle_timeout_ms)} without a sign of work"


def _state(agent: ManagedAgent) -> Iterator[tuple[str, str]]:
    yield "status", str(agent.status)
    if agent.presence is Presence.UNKNOWN:
        since = f" since {clock(agent.presence_since)}" if agent.presence_since else ""
        yield "presence", f"unknown: its host is offline{since}"
    if not agent.ended and agent.reason:
        until = f", until {clock(agent.deadline_at)}" if agent.deadline_at else ""
        yield "waiting", agent.reason + until
    if agent.activity:
        source = f" (from {agent.activity_source})" if agent.activity_source else ""
        yield "activity", f"{agent.activity}{source}"
    if agent.restart_at and not agent.ended:
        yield "goes on", clock(agent.restart_at)
    yield "attention", agent.attention or ""
    for asked in pending(agent):
        yield "asks", f"{what(asked)} ({how_to_answer(asked)})"
    yield "answered", "\n".join(_answered(agent))
    if agent.pid and not agent.ended:
        yield "pid", str(agent.pid)
    if agent.cause:
        yield "cause", f"{agent.cause.kind}: {because(agent.cause)}"
    yield "result", agent.result or ""
    yield "restarts", _restarts(agent)
    yield "error", agent.error or ""
    yield "used", ", ".join(_used(agent))
    yield "session", agent.provider_session_id or ""


def _answered(agent: ManagedAgent) -> Iterator[str]:
    for approval in agent.approvals:
        if approval.state is not ApprovalState.PENDING:
            yield f"{approval.id} {outcome(approval)}: {what(approval)}"


def _restarts(agent: ManagedAgent) -> str:
    words = [] if agent.restart == "never" else [agent.restart]
    if agent.restarts:
        words.append(f"after {agent.restarts} before it")
    if agent.resumed_from:
        words.append(f"goes on with what {agent.resumed_from} began")
    if agent.restarted_as:
        words.append(f"followed by {agent.restarted_as}")
    elif agent.ended and agent.reason:
        words.append(agent.reason)
    return ", ".join(words)


def _used(agent: ManagedAgent) -> Iterator[str]:
    """What its CLI says that the run has taken so far; nothing of what it does not count."""
    if agent.turns:
        yield f"{agent.turns} answer{'s' if agent.turns > 1 else ''} of the model"
    if agent.tool_calls:
        yield f"{agent.tool_calls} tool call{'s' if agent.tool_calls > 1 else ''}"
    usage = agent.usage
    if usage is not None and usage.input_tokens is not None:
        cached = f" ({usage.cached_input_tokens:,} cached)" if usage.cached_input_tokens else ""
        yield f"{usage.input_tokens:,} tokens in{cached}"
    if usage is not None and usage.output_tokens is not None:
        yield f"{usage.output_tokens:,} tokens out"
    if usage is not None and usage.context_used is not None and usage.context_window:
        yield f"context {usage.context_used / usage.context_window:.0%} full"
    if agent.cost_usd is not None:
        yield f"{agent.cost_usd:.4f} USD"


def _times(agent: ManagedAgent) -> Iterator[tuple[str, str]]:
    now = now_ms()
    for name, at in (
        ("created", agent.created_at),
        ("started", agent.started_at),
        ("ready", agent.ready_at),
        ("stop asked", agent.stopping_at),
        ("ended", agent.ended_at),
    ):
        if at:
            yield name, f"{clock(at)} ({age(at, now)} ago)"
    if agent.started_at and agent.ended_at:
        yield "ran for", duration(agent.ended_at - agent.started_at)
    if agent.timeout_ms:
        yield "timeout", duration(agent.timeout_ms)


def _end(agent: ManagedAgent) -> Iterator[tuple[str, str]]:
    end = agent.exit
    if end is None:
        return
    yield "exit", _exit(end)
    if end.stage:
        yield "stopped by", f"{end.stage} was the last step that was needed"
    yield "killed", ", ".join(end.killed)
    yield "left behind", ", ".join(end.leftovers)
    yield "survivors", ", ".join(end.survivors)
    dropped = f", {size(end.dropped_bytes)} dropped" if end.dropped_bytes else ""
    yield "output", size(end.output_bytes) + dropped
    if end.max_rss_bytes or end.cpu_ms:
        yield (
            "machine",
            f"{size(end.max_rss_bytes)} of memory at most, {duration(end.cpu_ms)} of processor time",
        )


def _exit(end: ExitFacts) -> str:
    if end.signal is not None:
        return f"killed by {signal_name(end.signal)}"
    return "unknown" if end.exit_code is None else f"code {end.exit_code}"
