"""`muster interrupt`: end an agent's present turn, and nothing else."""

from __future__ import annotations

from orchestrator.cli.output import print_json
from orchestrator.cli.parameters import AgentArg, HostOpt, JsonOpt, RelayOpt
from orchestrator.cli.target import connect
from relay.wire.endpoints import INTERRUPT_AGENT

__all__ = ["command"]

PATIENCE_S = 45.0
"""Some CLIs wait for their tool before they end a turn."""


def command(
    agent: AgentArg, relay_wide: RelayOpt = False, host: HostOpt = None, json: JsonOpt = False
) -> None:
    """End the present turn of an agent, which stays. Returns when the turn is over."""
    with connect(relay=relay_wide or host is not None) as server:
        found = server.call(INTERRUPT_AGENT, path={"id": agent}, timeout_s=PATIENCE_S)
    if json:
        print_json(found)
    else:
        print(f"{found.id} {found.activity or found.status}")
