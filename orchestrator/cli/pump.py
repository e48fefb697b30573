"""Sends this terminal's or pipe's stdin to an agent while it runs."""

from __future__ import annotations

import base64
import os

from orchestrator.cli.output import say
from orchestrator.cli.target import Server
from relay.wire.client import Unreachable
from relay.wire.endpoints import SEND_INPUT
from relay.wire.errors import ApiError, Code
from relay.wire.steering import InputRequest

__all__ = ["pump_stdin", "send_bytes"]

PIECE = 64 * 1024
"""What a Linux pipe holds."""


def pump_stdin(server: Server, agent_id: str) -> None:
    """Send stdin in pieces until its end or the agent's, then close the agent's."""
    try:
        while piece := os.read(0, PIECE):
            send_bytes(server, agent_id, piece)
        server.call(SEND_INPUT, InputRequest(eof=True), path={"id": agent_id})
    except ApiError as error:
        if error.code not in (Code.ENDED, Code.CONFLICT, Code.NOT_FOUND):
            say(f"its stdin was cut off: {error}")
    except (Unreachable, OSError) as error:
        say(f"its stdin was cut off: {error}")


def send_bytes(server: Server, agent_id: str, data: bytes) -> None:
    """Write all of `data` to the agent's stdin, however slowly it reads.

    Raises `ApiError` (`ended` if the agent is gone) and `Unreachable`; a broken connection is not
    repaired, because it cannot be known how much has arrived.
    """
    while data:
        piece = base64.b64encode(data[:PIECE]).decode()
        try:
            result = server.call(SEND_INPUT, InputRequest(base64=piece), path={"id": agent_id})
            data = data[result.bytes :]
        except ApiError as error:
            if error.code is not Code.BUSY:
                raise
            data = data[int(error.details.get("bytes", 0)) :]
