"""The time that an approval has to be answered in."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any, cast

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


class Unreachable:
    """Sessions of which none can be reached."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.all_asked = asyncio.Event()

    def live(self, agent_id: str) -> Session | None:
        self.asked.add(agent_id)
        if len(self.asked) == 2:
            self.all_asked.set()
        raise SpawnerError("the keeper does not answer")


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


async def test_one_that_cannot_be_denied_does_not_keep_the_others_pending(tmp_path: Path) -> None:
    registry = Registry(Database(str(tmp_path / "host.db")), "h")
    for agent_id in ("ag-000000000001", "ag-000000000002"):
        registry.create(AgentRecord(agent=asking(agent_id), directory=str(tmp_path)))
    sessions = Unreachable()
    nothing = cast(Any, None)
    reach = Reach(registry, cast(Any, sessions), nothing, nothing, nothing, Policy())
    expiring = asyncio.create_task(expire_approvals(reach))

    async with asyncio.timeout(10):
        await sessions.all_asked.wait()

    assert not expiring.done()
    expiring.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await expiring
