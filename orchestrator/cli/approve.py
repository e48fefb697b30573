"""`muster approve`: let an agent do what it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.asking import need_a_person, outcome, person, what
from orchestrator.cli.failures import Exit
from orchestrator.cli.output import print_json
from orchestrator.cli.parameters import ApprovalArg, HostOpt, JsonOpt, RelayOpt, takes
from orchestrator.cli.target import connect
from relay.wire.approvals import AnswerRequest, Approval, Verdict
from relay.wire.client import Unreachable
from relay.wire.endpoints import ANSWER_APPROVAL
from relay.wire.errors import ApiError, Code

__all__ = ["Options", "answer", "command"]

PATIENCE_S = 45.0
"""A host looks at a terminal before and after the key, and may have to catch up first."""


@dataclass(frozen=True, kw_only=True)
class Options:
    approval: ApprovalArg
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; the model is told where its CLI can do that.")
    ] = None
    relay_wide: RelayOpt = False
    host: HostOpt = None
    json: JsonOpt = False


@dataclass(frozen=True, kw_only=True)
class ApproveOptions(Options):
    input: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="What the tool is to get instead, where its CLI takes that."),
    ] = None


@takes(ApproveOptions)
def command(ctx: typer.Context, options: ApproveOptions) -> None:
    """Allow once what an agent asks for. ID is the approval, or the agent if it asks one thing.

    Without -r or --host this host's daemon is asked first, then the relay.
    """
    answer(options, AnswerRequest(decision=Verdict.ALLOW, reason=options.reason, input=options.input))


def answer(options: Options, request: AnswerRequest) -> None:
    """Give the answer and say what became of it."""
    need_a_person()
    signed = AnswerRequest(decision=request.decision, reason=request.reason, input=request.input, by=person())
    settled = _posted(options, signed)
    if options.json:
        print_json(settled)
    else:
        seen = f" ({settled.evidence})" if settled.evidence else ""
        print(f"{settled.id} {outcome(settled)}{seen}: {what(settled)}")
    wanted = "allowed" if request.decision is Verdict.ALLOW else "denied"
    if settled.state != wanted:
        raise typer.Exit(Exit.FAILED)


def _posted(options: Options, request: AnswerRequest) -> Approval:
    wide = options.relay_wide or options.host is not None
    try:
        return _post(options.approval, request, relay=wide)
    except ApiError as error:
        if wide or error.code is not Code.NOT_FOUND:
            raise
        try:
            return _post(options.approval, request, relay=True)
        except Unreachable:
            raise error from None


def _post(reference: str, request: AnswerRequest, *, relay: bool) -> Approval:
    with connect(relay=relay) as server:
        return server.call(ANSWER_APPROVAL, request, path={"id": reference}, timeout_s=PATIENCE_S)
