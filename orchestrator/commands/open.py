"""Show an agent in a native window of this host's desktop."""

from __future__ import annotations

from orchestrator.commands.reach import Reach
from orchestrator.policy import check_terminal as check_allowed
from orchestrator.windows.windows import Windows
from relay.wire.errors import ApiError, Code
from relay.wire.opening import check_desktop, check_terminal
from relay.wire.terminal import OpenRequest, OpenResult

__all__ = ["open_window"]


async def open_window(
    reach: Reach, windows: Windows, reference: str, request: OpenRequest, *, remote: bool = False
) -> OpenResult:
    """Bring the agent's window to the front, or open one. Raises `ApiError`: `not_found`, `invalid`,
    `policy_refused`, `busy`, `ended`, and `conflict` for an agent on pipes or where no window can be opened.
    """
    check_terminal(request.terminal)
    check_allowed(reach.policy, request.terminal, remote=remote)
    check_desktop(request.desktop)
    record, _ = reach.running(reference)
    if not record.agent.mode.on_pty:
        raise ApiError(
            Code.CONFLICT, f"agent {record.id} runs on pipes and has no terminal; read its output instead"
        )
    shown = await windows.show(record, request, remote=remote)
    agent = reach.registry.find(record.id).agent
    return OpenResult(agent=agent, action=shown.action, notice=shown.notice)
