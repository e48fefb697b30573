"""`muster kill`: end agents at once."""

from __future__ import annotations

from orchestrator.cli.parameters import AgentsArg, HostOpt, JsonOpt, RelayOpt
from orchestrator.cli.stop import PATIENCE_S, end
from orchestrator.cli.target import connect
from relay.wire.steering import StopRequest

__all__ = ["command"]


def command(
    agents: AgentsArg, relay_wide: RelayOpt = False, host: HostOpt = None, json: JsonOpt = False
) -> None:
    """Kill agents with their whole trees, without asking them to end first."""
    with connect(relay=relay_wide or host is not None) as server:
        end(server, agents, StopRequest(kill=True), patience_s=PATIENCE_S, json=json)
