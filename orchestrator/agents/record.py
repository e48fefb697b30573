"""Everything a host keeps of one agent: what is shown, and what only the host needs."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from relay.wire.agents import ManagedAgent
from relay.wire.windows import Window

__all__ = ["AgentRecord", "KnownWindow", "StopIntent", "Successor", "WindowKey", "new_agent_id"]


class StopIntent(msgspec.Struct, frozen=True, kw_only=True):
    """Written before anything is signalled, so that a new daemon goes on with a stop it finds.

    `oom` is the evidence where the agent is stopped because it has used more memory than it may, `limit`
    the limit it has reached, `idle` that nothing happened for too long, and `over` that its work was done
    and its CLI did not end by itself.
    """

    by: str
    at: int
    grace_s: float
    kill: bool = False
    oom: str = ""
    limit: str = ""
    idle: str = ""
    over: str = ""

    @property
    def evidence(self) -> dict[str, str]:
        """Why it is stopped, where that decides the verdict."""
        reasons = {"oom": self.oom, "limit": self.limit, "idle": self.idle, "over": self.over}
        return {name: words for name, words in reasons.items() if words}


class Successor(msgspec.Struct, frozen=True, kw_only=True):
    """The agent that is started in place of an ended one, written down together with the verdict.

    `at` is when, `attempt` which restart in a row it is, `holds` which wait in a row for a rate limit,
    and `resumes` that it goes on with the conversation instead of beginning anew; `idle`: which had
    nothing to do just then.
    """

    agent_id: str
    at: int
    attempt: int
    holds: int = 0
    resumes: bool = False
    idle: bool = False


class WindowKey(msgspec.Struct, frozen=True, kw_only=True):
    """What tells an agent's window from any other process: the SHA-256 of the token that was given to it,
    and once it has reported, when its process began and in which boot. `held`: it was seen to hold its lock.
    `handles` are the variables by which its terminal knows it."""

    token_hash: str
    started: int | None = None
    boot_id: str = ""
    held: bool = False
    handles: dict[str, str] = {}


class KnownWindow(msgspec.Struct, frozen=True, kw_only=True):
    window: Window
    key: WindowKey


class AgentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One agent. Frozen: a record is read by anyone and replaced only by the registry.

    `agent` is what the wire shows. `directory` is the session's, `caller` and the agent's
    idempotency key make a spawn unique, `token_hash` is the SHA-256 of the agent's own token.
    `spool_pruned` says that the output was deleted to make room. `approval_timeout_ms` is how long
    what it asks waits for an answer (None: for ever). `model` is the one that was asked for; the agent's
    own is what its CLI calls it. `successor` is what is to follow an ended agent, `restart_limit` how many
    may in a row; `attempt` and `holds` count those in front of this one. `answers` is how many the model had
    given when a rate limit last held up the conversation. `window` belongs to the agent's `window`; `beside`
    are older ones that are open still.
    """

    agent: ManagedAgent
    directory: str
    caller: str = "local"
    token_hash: str = ""
    stop: StopIntent | None = None
    spool_pruned: bool = False
    approval_timeout_ms: int | None = None
    model: str | None = None
    successor: Successor | None = None
    restart_limit: int = 5
    attempt: int = 0
    holds: int = 0
    answers: int = 0
    window: WindowKey | None = None
    beside: tuple[KnownWindow, ...] = ()

    @property
    def id(self) -> str:
        return self.agent.id

    def showing(self, **changes: Any) -> AgentRecord:
        """Return a copy whose shown agent has `changes` applied."""
        return msgspec.structs.replace(self, agent=msgspec.structs.replace(self.agent, **changes))


def new_agent_id() -> str:
    """Return `ag-` and 12 random hex digits (48 bits: 1,000,000 agents collide with chance 0.002)."""
    return f"ag-{secrets.token_hex(6)}"
