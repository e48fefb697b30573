"""A managed agent as its spawn is first written down. Pure."""

from __future__ import annotations

from relay.wire.agents import ManagedAgent, Mode, SpawnRequest, Status
from relay.wire.windows import Window
from spawners.launch import Launch
from spawners.providers.base import Plan

__all__ = ["shown"]

TITLE_MAX = 200


def shown(
    request: SpawnRequest, launch: Launch, plan: Plan, *, by: str, parent_id: str | None, created_at: int
) -> ManagedAgent:
    """Return the agent as it is written down before anything runs. `by` asks for it, `parent_id` is the agent
    that does."""
    size = launch.size
    return ManagedAgent(
        id=launch.agent_id,
        status=Status.STARTING,
        provider=request.provider,
        mode=request.mode,
        created_at=created_at,
        cwd=launch.cwd,
        label=request.label,
        title=(request.prompt or " ".join(request.argv or ()))[:TITLE_MAX],
        approval_mode=request.approval,
        model=request.model,
        conversation=plan.opening is not None and plan.opening.keep,
        provider_session_id=plan.session_id,
        resumed_from=request.resume,
        idle_timeout_ms=request.idle_timeout_ms,
        max_turns=request.max_turns,
        max_cost_usd=request.max_cost_usd,
        timeout_ms=None if launch.timeout_s is None else round(launch.timeout_s * 1000),
        memory_bytes=launch.memory_bytes,
        cpus=launch.cpus,
        size=None if size is None else {"rows": size.rows, "columns": size.columns},
        window=Window(id="") if request.mode is Mode.TERMINAL else None,
        restart=request.restart,
        on_rate_limit=request.on_rate_limit,
        leftovers=request.leftovers,
        parent_id=request.parent_id or parent_id,
        requested_by=by,
        idempotency_key=request.idempotency_key,
        env_keys=sorted(request.env),
        tags=request.tags,
        capabilities=request.capabilities,
    )
