"""How a person names an agent: by id, by a unique prefix of it, or by label."""

from __future__ import annotations

from collections.abc import Iterable

from relay.wire.agents import ManagedAgent
from relay.wire.errors import ApiError, Code

__all__ = ["resolve"]


def resolve(reference: str, candidates: Iterable[ManagedAgent]) -> ManagedAgent:
    """Return the agent that `reference` names among `candidates`.

    An exact id wins, then a label (of agents not yet ended, else of the newest ended one), then a
    prefix of the id, with or without `ag-`. Raises `ApiError` `not_found`, or `ambiguous` with the
    ids in its details.
    """
    agents = list(candidates)
    for agent in agents:
        if agent.id == reference:
            return agent
    labelled = [agent for agent in agents if agent.label == reference]
    live = [agent for agent in labelled if not agent.ended]
    if live or labelled:
        newest = live or [max(labelled, key=lambda agent: agent.created_at)]
        return _only(reference, newest)
    prefixes = (reference, f"ag-{reference}")
    matches = [agent for agent in agents if reference and agent.id.startswith(prefixes)]
    if not matches:
        raise ApiError(
            Code.NOT_FOUND, f"no agent {reference!r} here; `muster ps --all` lists them", reference=reference
        )
    return _only(reference, matches)


def _only(reference: str, agents: list[ManagedAgent]) -> ManagedAgent:
    if len(agents) == 1:
        return agents[0]
    ids = sorted(agent.id for agent in agents)
    shown = ", ".join(ids[:5]) + (" …" if len(ids) > 5 else "")
    raise ApiError(Code.AMBIGUOUS, f"{reference!r} could be {shown}; give more of the id", candidates=ids)
