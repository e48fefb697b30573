"""Verdicts say what happened, and never more than is known."""

from __future__ import annotations

from orchestrator.agents.record import StopIntent
from orchestrator.agents.verdict import of_exit, of_loss, of_spawn_failure
from relay.wire.agents import CauseKind, Status
from spawners.errors import SessionLost, SpawnFailed
from spawners.launch import Exit, StopReport

INTENT = StopIntent(by="ana", at=1, grace_s=5)


def judge(ended: Exit, *, stop: StopIntent | None = None, error: str | None = None):  # type: ignore[no-untyped-def]
    verdict = of_exit(ended, stop=stop, timeout_ms=1500, tail="last words", provider_error=error)
    return verdict.status, verdict.cause


def test_exit_zero_is_success() -> None:
    status, cause = judge(Exit(code=0))
    assert (status, cause.kind, cause.exit_code) == (Status.SUCCEEDED, CauseKind.EXIT, 0)
    assert cause.output_tail == "last words"


def test_exit_three_is_failure_with_its_code() -> None:
    status, cause = judge(Exit(code=3))
    assert (status, cause.exit_code, cause.message) == (Status.FAILED, 3, "the program exited with code 3")


def test_a_plain_kill_is_a_signal_and_not_a_guess_at_memory() -> None:
    status, cause = judge(Exit(signal=9))
    assert (status, cause.kind, cause.signal) == (Status.FAILED, CauseKind.SIGNAL, 9)
    assert "SIGKILL" in cause.message
    assert "memory" not in cause.message


def test_out_of_memory_needs_evidence() -> None:
    status, cause = judge(Exit(signal=9, oom="kernel: Killed process 12"))
    assert (status, cause.kind) == (Status.FAILED, CauseKind.OOM)
    assert "Killed process 12" in cause.message


def test_a_stop_is_cancelled_and_keeps_the_true_exit_beside_it() -> None:
    report = StopReport("kill", killed=("12 sleep",))
    ended = Exit(signal=9, ended_by="stop", stop=report, at_ms=77)
    verdict = of_exit(ended, stop=INTENT, timeout_ms=None, tail="")
    assert (verdict.status, verdict.cause.kind, verdict.cause.by) == (
        Status.CANCELLED,
        CauseKind.STOPPED,
        "ana",
    )
    assert verdict.exit is not None
    assert (verdict.exit.signal, verdict.exit.at, verdict.exit.stage) == (9, 77, "kill")
    assert verdict.exit.killed == ["12 sleep"]


def test_a_program_that_ended_before_the_stop_reached_it_ended_by_itself() -> None:
    status, cause = judge(Exit(code=0), stop=INTENT)
    assert (status, cause.kind, cause.by) == (Status.SUCCEEDED, CauseKind.EXIT, None)


def test_a_stop_with_survivors_has_not_succeeded() -> None:
    status, cause = judge(
        Exit(signal=9, ended_by="stop", stop=StopReport("kill", survivors=("9 dd",))), stop=INTENT
    )
    assert status is Status.FAILED
    assert "9 dd" in cause.message


def test_timeout_says_after_how_long() -> None:
    status, cause = judge(Exit(signal=15, ended_by="timeout", stop=StopReport("terminate")))
    assert (status, cause.kind) == (Status.TIMEOUT, CauseKind.TIMEOUT)
    assert "1.5 s" in cause.message


def test_a_system_shutdown_is_told_from_a_stop() -> None:
    status, cause = judge(Exit(signal=15, ended_by="shutdown", stop=StopReport("terminate")))
    assert (status, cause.kind) == (Status.FAILED, CauseKind.KEEPER_KILLED)
    assert "shutdown" in cause.message


def test_exit_zero_with_the_clis_own_word_for_an_error_has_failed() -> None:
    status, cause = judge(Exit(code=0), error="API Error: 400")
    assert (status, cause.exit_code) == (Status.FAILED, 0)
    assert "API Error: 400" in cause.message


def test_lost_output_and_leftovers_are_said() -> None:
    _, cause = judge(Exit(code=0, dropped=10, leftovers=("7 node",)))
    assert "10 bytes" in cause.message
    assert "7 node" in cause.message


def test_without_an_exit_record_it_is_lost_for_a_known_reason() -> None:
    verdict = of_loss(SessionLost("host_reboot", "the host has restarted"), stopping=None, tail="")
    assert (verdict.status, verdict.cause.kind) == (Status.LOST, CauseKind.HOST_REBOOT)
    verdict = of_loss(SessionLost("keeper_killed", "killed"), stopping=None, tail="")
    assert (verdict.status, verdict.cause.kind) == (Status.LOST, CauseKind.KEEPER_KILLED)


def test_what_was_being_stopped_and_is_proven_gone_is_cancelled() -> None:
    verdict = of_loss(SessionLost("keeper_killed", "killed"), stopping=INTENT, tail="")
    assert (verdict.status, verdict.cause.by) == (Status.CANCELLED, "ana")


def test_a_missing_directory_proves_nothing() -> None:
    verdict = of_loss(SessionLost("unknown", "directory gone"), stopping=INTENT, tail="")
    assert verdict.status is Status.LOST


def test_a_full_disk_is_not_blamed_on_the_program() -> None:
    verdict = of_spawn_failure(SpawnFailed("cannot write: No space left on device", 28))
    assert (verdict.status, verdict.cause.kind) == (Status.FAILED, CauseKind.DISK)


def test_exec_failure_carries_errno_and_path() -> None:
    verdict = of_spawn_failure(SpawnFailed("no such program: foo", 2, ("/bin", "/usr/bin")))
    assert (verdict.status, verdict.cause.kind, verdict.cause.errno) == (
        Status.FAILED,
        CauseKind.EXEC_FAILED,
        2,
    )
    assert "/bin:/usr/bin" in verdict.cause.message
