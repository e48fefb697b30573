"""`muster deny`: do not let an agent do what it asks for."""

from __future__ import annotations

import typer

from orchestrator.cli.approve import Options, answer
from orchestrator.cli.parameters import takes
from relay.wire.approvals import AnswerRequest, Verdict

__all__ = ["command"]


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """Deny what an agent asks for; it goes on without. ID is the approval, or the agent if it asks one thing.

    Without -r or --host this host's daemon is asked first, then the relay.
    """
    answer(options, AnswerRequest(decision=Verdict.DENY, reason=options.reason))
