"""Says what an agent that is followed asks; on a terminal its person can answer right there."""

from __future__ import annotations

import select
import sys
import threading

from orchestrator.cli.asking import how_to_answer, outcome, person, what
from orchestrator.cli.news import news
from orchestrator.cli.output import say
from orchestrator.cli.target import Server
from relay.wire.approvals import AnswerRequest, Approval, ApprovalListQuery, ApprovalState, Verdict
from relay.wire.client import Unreachable
from relay.wire.endpoints import ANSWER_APPROVAL
from relay.wire.errors import ApiError, Code

__all__ = ["answer_along"]

LOOK_S = 0.3
"""Between two looks whether somebody else has answered while a key is waited for."""

CAN_WAIT_FOR_KEYS = hasattr(select, "poll")
"""Where there is no poll (Windows), select takes no console either."""

DECISIONS = {"y": Verdict.ALLOW, "yes": Verdict.ALLOW, "n": Verdict.DENY, "no": Verdict.DENY}


def answer_along(server: Server, agent_id: str, *, prompts: bool) -> None:
    """Tell on stderr what `agent_id` asks, as long as this process runs.

    With `prompts` each question takes a `y` or `n` from stdin; what somebody else answers meanwhile is
    told instead. To be run in a thread of its own: it blocks, and uses `server` alone.
    """
    asker = _Asker(server.twin()) if prompts and CAN_WAIT_FOR_KEYS else None
    try:
        for approval in news(server, ApprovalListQuery(agent_id=agent_id)):
            if approval.state is not ApprovalState.PENDING:
                say(f"{approval.id} {outcome(approval)}")
                if asker is not None:
                    asker.settled(approval.id)
            elif asker is not None:
                asker.ask(approval)
            else:
                say(f"{agent_id} asks: {what(approval)}; {how_to_answer(approval)}")
    except ApiError as error:
        if error.code is not Code.NOT_FOUND:  # it was forgotten
            say(f"what {agent_id} asks cannot be told: {error}")


class _Asker:
    """One question at a time, each in a thread that ends with it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._turn = threading.Lock()
        self._open: set[str] = set()

    def ask(self, approval: Approval) -> None:
        self._open.add(approval.id)
        threading.Thread(target=self._ask, args=(approval,), daemon=True).start()

    def settled(self, approval_id: str) -> None:
        self._open.discard(approval_id)

    def _ask(self, approval: Approval) -> None:
        with self._turn:
            if approval.id in self._open:
                say(f"{approval.agent_id} asks: {what(approval)}")
            while approval.id in self._open:
                sys.stderr.write("muster: allow it? [y/n] ")
                sys.stderr.flush()
                line = self._line(approval.id)
                if line is None:
                    return
                decision = DECISIONS.get(line.strip().lower())
                if decision is not None and self._post(approval, decision):
                    return

    def _line(self, approval_id: str) -> str | None:
        """Return what was typed, None if it is too late for that or there is no more to come."""
        while approval_id in self._open:
            if select.select([sys.stdin], [], [], LOOK_S)[0]:
                return sys.stdin.readline() or None
        sys.stderr.write("\n")
        return None

    def _post(self, approval: Approval, decision: Verdict) -> bool:
        """Return whether there is nothing more to ask."""
        try:
            request = AnswerRequest(decision=decision, by=person())
            self._server.call(ANSWER_APPROVAL, request, path={"id": approval.id})
        except (ApiError, Unreachable) as error:
            say(f"not answered: {error}")
            return isinstance(error, ApiError) and error.code in (Code.CONFLICT, Code.ENDED)
        return True
