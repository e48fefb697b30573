"""What a CLI's own words come to, as fields of a managed agent, and back. Pure."""

from __future__ import annotations

from typing import Any

from relay.wire.agents import ManagedAgent, Usage
from spawners.providers import events
from spawners.providers.tally import Outcome

__all__ = ["known", "shown"]


def shown(outcome: Outcome) -> dict[str, Any]:
    """The fields of a managed agent that an outcome fills; what it does not know is left out."""
    fields: dict[str, Any] = {
        "error": outcome.error,
        "turns": outcome.turns,
        "tool_calls": outcome.tool_calls,
    }
    if outcome.finished and outcome.text is not None:
        fields["result"] = outcome.text
    if outcome.session_id is not None:
        fields["provider_session_id"] = outcome.session_id
    if outcome.model is not None:
        fields["model"] = outcome.model
    if outcome.approval_mode is not None:
        fields["approval_mode"] = outcome.approval_mode
    if outcome.cost_usd is not None:
        fields["cost_usd"] = outcome.cost_usd
    used = outcome.usage
    if used is not None or outcome.context_used is not None:
        fields["usage"] = Usage(
            input_tokens=used.input_tokens if used else None,
            output_tokens=used.output_tokens if used else None,
            cached_input_tokens=used.cached_input_tokens if used else None,
            reasoning_tokens=used.reasoning_tokens if used else None,
            context_used=outcome.context_used,
            context_window=outcome.context_window,
        )
    return fields


def known(agent: ManagedAgent) -> Outcome:
    """What an earlier daemon has shown of an agent whose words are not told again, as those of hooks."""
    usage = agent.usage
    counted = usage is not None and (usage.input_tokens is not None or usage.output_tokens is not None)
    return Outcome(
        session_id=agent.provider_session_id,
        model=agent.model,
        ready=agent.ready_at is not None,
        text=agent.result,
        error=agent.error,
        finished=agent.result is not None or agent.error is not None,
        turns=agent.turns,
        tool_calls=agent.tool_calls,
        usage=events.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            reasoning_tokens=usage.reasoning_tokens,
        )
        if usage is not None and counted
        else None,
        cost_usd=agent.cost_usd,
        context_used=usage.context_used if usage is not None else None,
        context_window=usage.context_window if usage is not None else None,
    )
