"""The time that an approval has to be answered in."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.commands.reach import Reach
from orchestrator.config import Policy
from orchestrator.daemon.expire import expire_approvals
from orchestrator.store.database import Database
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.approvals import Approval
from spawners.errors import SpawnerError
from spawners.session import Session


class Both:
    """Notes which agents are asked; `asked` is set once both are."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.asked = asyncio.Event()

    def see(self, agent_id: str) -> None:
        self.seen.add(agent_id)
        if len(self.seen) == 2:
            self.asked.set()


class Unreachable(Both):
    """Sessions of which none can be reached."""

    def live(self, agent_id: str) -> Session | None:
        self.see(agent_id)
        raise SpawnerError("the keeper does not answer")


class Slow(Both):
    """Sessions whose conversations are never ready to be told something."""

    def live(self, agent_id: str) -> Session | None:
        return cast(Any, self)

    def get(self, agent_id: str) -> Any:
        async def wait() -> None:
            self.see(agent_id)
            await asyncio.Event().wait()

        return SimpleNamespace(conversation=SimpleNamespace(caught_up=SimpleNamespace(wait=wait)))


def asking(agent_id: str) -> ManagedAgent:
    overdue = Approval(
        id=f"ap-{agent_id[3:]}", agent_id=agent_id, tool="x", channel="stream", asked_at=1, expires_at=2
    )
    return ManagedAgent(
        id=agent_id,
        status=Status.RUNNING,
        provider="x",
        mode=Mode.HEADLESS,
        created_at=1,
        approvals=[overdue],
    )


@pytest.mark.parametrize("sessions", [Unreachable, Slow])
async def test_one_that_cannot_be_denied_does_not_keep_the_others_pending(
    tmp_path: Path, sessions: type[Both]
) -> None:
    registry = Registry(Database(str(tmp_path / "host.db")), "h")
    for agent_id in ("ag-000000000001", "ag-000000000002"):
        registry.create(AgentRecord(agent=asking(agent_id), directory=str(tmp_path)))
    both, nothing = cast(Any, sessions()), cast(Any, None)
    reach = Reach(registry, both, nothing, both, nothing, Policy())
    expiring = asyncio.create_task(expire_approvals(reach))

    async with asyncio.timeout(10):
        await both.asked.wait()

    assert not expiring.done()
    expiring.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await expiring
