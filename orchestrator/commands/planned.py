"""What a provider makes of a request. Pure."""

from __future__ import annotations

import dataclasses
import uuid

from relay.wire.agents import SpawnRequest
from relay.wire.errors import ApiError, Code
from spawners.hook import COMMAND
from spawners.providers.base import Ability, Ask, Plan, Provider, ProviderError

__all__ = ["hook_of", "planned", "session_id"]


def session_id(provider: Provider) -> str | None:
    """Return a new id for the conversation, for a CLI that takes one."""
    return str(uuid.uuid4()) if Ability.SESSION_ID in provider.abilities else None


def hook_of(request: SpawnRequest, provider: Provider) -> tuple[str, ...] | None:
    """Headless its own stream tells more, and in the right order."""
    wanted = request.mode.on_pty and Ability.HOOKS in provider.abilities
    return COMMAND if wanted else None


def planned(provider: Provider, ask: Ask) -> Plan:
    """Return the provider's plan. Raises `ApiError` for what it cannot do."""
    try:
        plan = provider.plan(ask)
    except ProviderError as error:
        raise ApiError(Code.INVALID, error.message, provider=provider.name) from None
    # Whoever resumes a conversation holds it from the start, before its CLI has said so.
    return plan if ask.resume is None else dataclasses.replace(plan, session_id=plan.session_id or ask.resume)
