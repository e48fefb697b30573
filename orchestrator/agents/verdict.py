"""From the operating system's words to a verdict with its evidence. Pure."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass

from orchestrator.agents.record import StopIntent
from relay.wire.agents import Cause, CauseKind, ExitFacts, Status
from spawners.errors import SessionLost, SpawnFailed
from spawners.launch import Exit

__all__ = ["Verdict", "of_exit", "of_loss", "of_spawn_failure"]

_OUT_OF_MEMORY = "killed for running out of memory"


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    cause: Cause
    exit: ExitFacts | None = None


def signal_name(number: int) -> str:
    """Return `SIGKILL` for 9; a number without a name (realtime signals) as `signal N`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def of_exit(
    ended: Exit,
    *,
    stop: StopIntent | None,
    timeout_ms: int | None,
    tail: str,
    provider_error: str | None = None,
) -> Verdict:
    """Return the verdict on a program that has ended.

    `provider_error` is what the CLI itself said went wrong; several exit 0 all the same. A stop
    counts only if it was what ended the program; with survivors it has not succeeded.
    """
    status, kind, message = _judge(ended, timeout_ms, provider_error)
    if stop is not None and stop.evidence and status is Status.CANCELLED:
        status, kind, message = _stopped_for(stop, _how(ended), provider_error)
    if ended.dropped:
        message += f"; {ended.dropped} bytes of output could not be stored"
    if ended.leftovers:
        message += f"; it left {len(ended.leftovers)} process(es) behind, ended: {', '.join(ended.leftovers)}"
    by = stop.by if stop and status is Status.CANCELLED else None
    cause = Cause(
        kind=kind, message=message, exit_code=ended.code, signal=ended.signal, by=by, output_tail=tail or None
    )
    return Verdict(status, cause, _facts(ended))


def _judge(ended: Exit, timeout_ms: int | None, provider_error: str | None) -> tuple[Status, CauseKind, str]:
    how = _how(ended)
    if ended.stop and ended.stop.survivors:
        survivors = ", ".join(ended.stop.survivors)
        return Status.FAILED, CauseKind.UNKNOWN, f"{how}; could not be ended whole, still alive: {survivors}"
    rung = f" at the rung {ended.stop.stage!r}" if ended.stop else ""
    if ended.ended_by == "stop":
        return Status.CANCELLED, CauseKind.STOPPED, f"stopped{rung}; {how}"
    if ended.ended_by == "timeout":
        after = f" after {timeout_ms / 1000:g} s" if timeout_ms else ""
        return Status.TIMEOUT, CauseKind.TIMEOUT, f"timed out{after}, ended{rung}; {how}"
    if ended.ended_by is not None:
        reason = f"its keeper was told to end by the system ({ended.ended_by}){rung}"
        return Status.FAILED, CauseKind.KEEPER_KILLED, f"{reason}; {how}"
    if ended.oom:
        return Status.FAILED, CauseKind.OOM, f"{_OUT_OF_MEMORY}: {ended.oom}"
    if ended.signal is not None:
        return Status.FAILED, CauseKind.SIGNAL, how
    if ended.code == 0 and provider_error:
        return Status.FAILED, CauseKind.EXIT, f"{how}, but reported an error: {provider_error}"
    if provider_error:
        return Status.FAILED, CauseKind.EXIT, f"{how}: {provider_error}"
    status = Status.SUCCEEDED if ended.code == 0 else Status.FAILED
    return status, CauseKind.EXIT, how


def _stopped_for(stop: StopIntent, how: str, provider_error: str | None) -> tuple[Status, CauseKind, str]:
    """The verdict on an agent that its host stopped for a reason of its own."""
    if stop.oom:
        return Status.FAILED, CauseKind.OOM, f"{_OUT_OF_MEMORY}: {stop.oom}; {how}"
    if stop.limit:
        return Status.FAILED, CauseKind.STOPPED, f"stopped at a limit: {stop.limit}; {how}"
    if stop.idle:
        return Status.TIMEOUT, CauseKind.TIMEOUT, f"{stop.idle}; {how}"
    if provider_error:
        return Status.FAILED, CauseKind.EXIT, f"{provider_error}; {stop.over}; {how}"
    return Status.SUCCEEDED, CauseKind.EXIT, f"its work was done; {stop.over}; {how}"


def _how(ended: Exit) -> str:
    if ended.signal is not None:
        return f"the program was ended by {signal_name(ended.signal)}" + (
            f" ({ended.note})" if ended.note else ""
        )
    return f"the program exited with code {ended.code}"


def _facts(ended: Exit) -> ExitFacts:
    stop = ended.stop
    return ExitFacts(
        at=ended.at_ms,
        exit_code=ended.code,
        signal=ended.signal,
        stage=stop.stage if stop else None,
        killed=list(stop.killed) if stop else [],
        survivors=list(stop.survivors) if stop else [],
        leftovers=list(ended.leftovers),
        output_bytes=ended.spool_end,
        dropped_bytes=ended.dropped,
        max_rss_bytes=ended.max_rss_bytes,
        cpu_ms=ended.cpu_ms,
    )


def of_spawn_failure(failure: SpawnFailed, stopping: StopIntent | None = None) -> Verdict:
    """Return the verdict on a program that was not executed: nothing ran. If it was to be stopped, that is
    what has happened."""
    if stopping is not None:
        cause = Cause(kind=CauseKind.STOPPED, message=failure.message, by=stopping.by)
        return Verdict(Status.CANCELLED, cause)
    message = failure.message
    if failure.searched:
        message += f"; PATH searched: {os.pathsep.join(failure.searched)}"
    kind = CauseKind.EXEC_FAILED if failure.errno is not None else CauseKind.UNKNOWN
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        kind = CauseKind.DISK
    return Verdict(Status.FAILED, Cause(kind=kind, message=message, errno=failure.errno))


def of_loss(loss: SessionLost, *, stopping: StopIntent | None, tail: str) -> Verdict:
    """Return the verdict on a session whose keeper is gone without an exit record.

    What never started has failed. All else is `lost`, unless it was being stopped: then nothing of
    it lives, which is what was asked for.
    """
    kinds = {"keeper_killed": CauseKind.KEEPER_KILLED, "host_reboot": CauseKind.HOST_REBOOT}
    kind = kinds.get(loss.kind, CauseKind.UNKNOWN)
    status = Status.FAILED if loss.kind == "never_started" else Status.LOST
    message = loss.message
    if stopping is not None and loss.kind != "unknown":
        status = Status.CANCELLED
        if stopping.oom:
            status, kind = Status.FAILED, CauseKind.OOM
            message = f"{_OUT_OF_MEMORY}: {stopping.oom}; {message}"
    by = stopping.by if stopping else None
    return Verdict(status, Cause(kind=kind, message=message, by=by, output_tail=tail or None))
