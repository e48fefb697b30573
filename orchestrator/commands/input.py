"""Write to an agent's stdin, or signal it."""

from __future__ import annotations

import base64
import binascii
import signal

from orchestrator.agents.record import AgentRecord
from orchestrator.commands.reach import Reach
from relay.wire.agents import Mode
from relay.wire.errors import ApiError, Code
from relay.wire.steering import InputRequest, InputResult, SignalRequest
from spawners.errors import SessionBusy, SessionEnded, SessionTyping, SpawnerError

__all__ = ["send_input", "send_signal"]

MAX_TIMEOUT_MS = 300_000


async def send_input(reach: Reach, reference: str, request: InputRequest) -> InputResult:
    """Write bytes into the agent's stdin or terminal and say how many the kernel took.

    In a terminal they are keys, as they are: `send` submits a message. A person who types there goes
    first. Raises `ApiError`: `ended`, `invalid`, or `busy` for an agent whose stdin is closed and for one
    that a person types into.
    """
    if not 0 < request.timeout_ms <= MAX_TIMEOUT_MS:
        raise ApiError(Code.INVALID, f"timeoutMs must be between 1 and {MAX_TIMEOUT_MS}")
    record, session = reach.running(reference)
    terminal = record.agent.mode is not Mode.HEADLESS
    data = _bytes(request, b"\r" if terminal else b"\n")
    try:
        if data and terminal:
            await session.type(data, timeout_s=request.timeout_ms / 1000)
        elif data:
            await session.write(data, timeout_s=request.timeout_ms / 1000)
        if request.eof:
            await session.close_stdin()
    except SessionBusy as error:
        return InputResult(receipt="partial", bytes=error.written)
    except SessionEnded as error:
        raise ApiError(Code.ENDED, f"nothing was written: {error}") from None
    except SessionTyping as error:
        raise ApiError(Code.BUSY, f"{error}; nothing was written, try again later") from None
    except SpawnerError as error:
        raise ApiError(Code.INVALID if terminal else Code.BUSY, str(error)) from None
    return InputResult(receipt="written", bytes=len(data))


def _bytes(request: InputRequest, line_end: bytes) -> bytes:
    if request.text is not None and request.base64 is not None:
        raise ApiError(Code.INVALID, "give text or base64, not both")
    if request.base64 is not None:
        try:
            data = base64.b64decode(request.base64, validate=True)
        except binascii.Error as error:
            raise ApiError(Code.INVALID, f"base64 cannot be read: {error}") from None
    else:
        data = (request.text or "").encode()
    if request.newline:
        data += line_end
    if not data and not request.eof:
        raise ApiError(Code.INVALID, "there is nothing to send: give text, base64 or eof")
    return data


def _number(given: str | int) -> int:
    if isinstance(given, str) and not given.isdigit():
        name = given.upper()
        name = name if name.startswith("SIG") else f"SIG{name}"
        try:
            return signal.Signals[name].value
        except KeyError:
            raise ApiError(Code.INVALID, f"there is no signal {given!r} on this host") from None
    number = int(given)
    if number not in set(signal.valid_signals()):
        raise ApiError(Code.INVALID, f"there is no signal {number} on this host")
    return number


async def send_signal(reach: Reach, reference: str, request: SignalRequest) -> AgentRecord:
    """Send a signal to the agent's process group. Raises `ApiError` `ended` or `invalid`."""
    number = _number(request.signal)
    record, session = reach.running(reference)
    try:
        await session.signal(number)
    except SessionEnded:
        raise ApiError(Code.ENDED, f"agent {record.id} has just ended") from None
    return record
