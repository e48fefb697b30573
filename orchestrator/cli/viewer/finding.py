"""Finding an agent of this host by its files alone, when no daemon runs that could be asked."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator

import msgspec

from orchestrator.agents.record import AgentRecord
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.home import Home
from relay.wire.references import resolve
from spawners.directory import AgentDirectory

__all__ = ["find_by_files", "has_terminal_here", "runs_here"]


def find_by_files(home: Home, reference: str) -> ManagedAgent:
    """Return the agent that `reference` names among those that have a folder here.

    Of one that the database does not tell about, only id, mode and whether it lives are known.
    Raises `ApiError` `not_found` or `ambiguous`.
    """
    records = {record.id: record.agent for record in _records(home)}
    try:
        names = os.listdir(home.agents)
    except OSError:
        names = []
    return resolve(reference, [_as_seen(home, name, records.get(name)) for name in sorted(names)])


def has_terminal_here(home: Home, agent_id: str) -> bool:
    """Whether a keeper on this host holds a terminal for this agent now."""
    directory = AgentDirectory(os.path.join(home.agents, agent_id))
    return bool((directory.spec() or {}).get("size")) and directory.is_locked()


def runs_here(home: Home, agent_id: str) -> bool:
    """Whether the agent's program was executed, in a terminal that a keeper on this host still holds."""
    child = AgentDirectory(os.path.join(home.agents, agent_id)).child()
    return child is not None and child.program is not None and has_terminal_here(home, agent_id)


def _as_seen(home: Home, name: str, known: ManagedAgent | None) -> ManagedAgent:
    directory = AgentDirectory(os.path.join(home.agents, name))
    spec = directory.spec() or {}
    agent = known or ManagedAgent(
        id=name,
        status=Status.RUNNING,
        provider="command",
        mode=Mode.EMBEDDED if spec.get("size") else Mode.HEADLESS,
        created_at=0,
    )
    if agent.ended or directory.is_locked():
        return agent
    ended = directory.exit()
    succeeded = ended is not None and ended.code == 0
    return msgspec.structs.replace(agent, status=Status.SUCCEEDED if succeeded else Status.FAILED)


def _records(home: Home) -> Iterator[AgentRecord]:
    """What the daemon last wrote down; nothing where that cannot be read."""
    decoder = msgspec.json.Decoder(AgentRecord)
    try:
        database = sqlite3.connect(f"file:{home.host_database}?mode=ro", uri=True, timeout=1.0)
    except sqlite3.Error:
        return
    try:
        for (data,) in database.execute("SELECT record FROM agents"):
            yield decoder.decode(data)
    except (sqlite3.Error, msgspec.DecodeError):
        return
    finally:
        database.close()
