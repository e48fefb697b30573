"""What agents ask, in words; and who is asking here."""

from __future__ import annotations

import getpass
import os

import msgspec

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.words import plain
from relay.wire.agents import ManagedAgent
from relay.wire.approvals import Approval, ApprovalState

__all__ = ["how_to_answer", "need_a_person", "outcome", "pending", "person", "what"]

WHAT_MAX = 300


def what(approval: Approval) -> str:
    """Return what is asked, in one line: the CLI's own title, or the tool and what it would get."""
    if approval.title:
        text = approval.title
        if approval.tool and approval.tool not in text:
            text = f"{approval.tool}: {text}"
    else:
        text = f"{approval.tool}: {_arguments(approval.input)}"
    text = " ".join(plain(text).split())
    return text if len(text) <= WHAT_MAX else text[: WHAT_MAX - 1] + "…"


def _arguments(text: str) -> str:
    """One argument alone is shown without its name and quotes."""
    try:
        value = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text
    if isinstance(value, dict) and len(value) == 1:
        (only,) = value.values()
        return only if isinstance(only, str) else text
    return text


def pending(agent: ManagedAgent) -> list[Approval]:
    """Return what an agent waits to be answered."""
    return [approval for approval in agent.approvals if approval.state is ApprovalState.PENDING]


def how_to_answer(approval: Approval) -> str:
    return f"`muster approve {approval.id}` or `muster deny {approval.id}`"


def outcome(approval: Approval) -> str:
    """Return how a question was settled, and by whom."""
    words = str(approval.state)
    if approval.answered_by:
        words += f" by {plain(approval.answered_by)}"
    if approval.reason:
        words += f": {plain(approval.reason)}"
    return words


def person() -> str | None:
    """Return the name of whoever types here, None if this machine has none for them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


def need_a_person() -> None:
    """Raise `CliError` inside of an agent: what one asks is for people to answer."""
    agent = os.environ.get("MUSTER_AGENT_ID")
    if agent:
        raise CliError(
            f"this runs inside agent {agent}: agents may not answer approvals; leave it to a person",
            Exit.REFUSED,
        )
