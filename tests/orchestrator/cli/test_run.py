"""`muster run`: the agent's output, exit code and signals, whatever happens to the server."""

from __future__ import annotations

import base64
import os
import signal
import threading
from typing import Any

import msgspec
import pytest
from local_api import FakeServer, an_agent, frames, output
from muster_command import Muster
from muster_processes import until

from relay.wire.agents import Cause, CauseKind, ExitFacts, ManagedAgent, SpawnResponse, Status
from relay.wire.endpoints import GET_AGENT, LIST_APPROVALS, READ_OUTPUT, SEND_INPUT, SPAWN, STOP_AGENT
from relay.wire.errors import ApiError, Code
from relay.wire.output import Frame, Kind, gap_frame
from relay.wire.serving import Call
from relay.wire.steering import InputResult

NOW = 1_760_000_000_000


def ended(status: Status, kind: CauseKind, message: str = "it did", **facts: Any) -> ManagedAgent:
    end = ExitFacts(at=NOW, exit_code=facts.get("exit_code"), signal=facts.get("signal"))
    return an_agent(status, cause=Cause(kind=kind, message=message, **facts), exit=end, started_at=NOW)


SUCCEEDED = ended(Status.SUCCEEDED, CauseKind.EXIT, exit_code=0)


def script(daemon: FakeServer, end: ManagedAgent, *pieces: tuple[Kind, bytes]) -> None:
    """An agent that starts, writes these pieces and ends so."""
    daemon.on(SPAWN, SpawnResponse(agent=an_agent()))
    daemon.on(READ_OUTPUT, lambda call: frames(*_from(pieces, call.query.offset)))
    daemon.on(GET_AGENT, end)


def _from(pieces: tuple[tuple[Kind, bytes], ...], offset: int) -> list[Frame]:
    return [frame for frame in output(*pieces) if frame.offset >= offset]


def test_output_is_copied_byte_for_byte_each_stream_to_its_own(muster: Muster, daemon: FakeServer) -> None:
    odd = bytes(range(256)) * 300
    script(
        daemon,
        SUCCEEDED,
        (Kind.STDOUT, odd),
        (Kind.STDERR, b"\xff warning\r\n"),
        (Kind.STDOUT, b"no newline"),
    )

    run = muster.start("run", "--", "anything")
    out, err = run.communicate(timeout=60)

    assert (run.returncode, out, err) == (0, odd + b"no newline", b"\xff warning\r\n")


@pytest.mark.parametrize(
    ("end", "code", "says"),
    [
        (ended(Status.SUCCEEDED, CauseKind.EXIT, exit_code=0), 0, ""),
        (ended(Status.FAILED, CauseKind.EXIT, exit_code=3), 3, ""),
        (ended(Status.FAILED, CauseKind.SIGNAL, signal=11), 139, "SIGSEGV"),
        (ended(Status.FAILED, CauseKind.OOM, "out of memory", signal=9), 137, "out of memory"),
        (ended(Status.TIMEOUT, CauseKind.TIMEOUT, "after 2 s", signal=15), 124, "after 2 s"),
        (ended(Status.FAILED, CauseKind.EXEC_FAILED, "no such file", errno=2), 127, "no such file"),
        (ended(Status.FAILED, CauseKind.EXEC_FAILED, "denied", errno=13), 126, "denied"),
        (ended(Status.CANCELLED, CauseKind.STOPPED, "stopped", by="bob", exit_code=0), 1, "by bob"),
        (ended(Status.CANCELLED, CauseKind.STOPPED, "stopped", by="bob", signal=9), 137, "by bob"),
        (ended(Status.LOST, CauseKind.HOST_REBOOT, "the host was rebooted"), 1, "the host was rebooted"),
        (ended(Status.REJECTED, CauseKind.REJECTED, "no host took it"), 1, "no host took it"),
        (ended(Status.FAILED, CauseKind.KEEPER_KILLED, "the keeper was killed"), 1, "the keeper was killed"),
    ],
)
def test_the_exit_code_is_the_agents_own(
    muster: Muster, daemon: FakeServer, end: ManagedAgent, code: int, says: str
) -> None:
    script(daemon, end, (Kind.STDOUT, b"x"))

    said = muster("run", "--", "anything")

    assert (said.code, said.out) == (code, b"x")
    assert says in said.err
    assert bool(says) == bool(said.err)


@pytest.mark.parametrize(("errno", "code"), [(2, 127), (13, 126)])
def test_a_spawn_refused_because_exec_failed_exits_as_a_shell(
    muster: Muster, daemon: FakeServer, errno: int, code: int
) -> None:
    daemon.on(SPAWN, ApiError(Code.SPAWN_FAILED, "cannot execute it; searched /bin", errno=errno))

    said = muster("run", "--", "nothing-like-it")

    assert (said.code, said.err) == (code, "muster: cannot execute it; searched /bin\n")


def test_a_broken_stream_goes_on_where_it_broke(muster: Muster, daemon: FakeServer) -> None:
    offsets: list[int] = []

    def answer(call: Call) -> Any:
        offsets.append(call.query.offset)
        if len(offsets) == 1:
            return frames(Frame(0, Kind.STDOUT, b"first "))  # and then nothing: the connection is gone
        if len(offsets) == 2:
            return ApiError(Code.UNAVAILABLE, "still starting")
        return (
            frames(*output((Kind.STDOUT, b"second"), offset=6))
            if call.query.offset == 6
            else frames(Frame(12, Kind.END))
        )

    daemon.on(SPAWN, SpawnResponse(agent=an_agent()))
    daemon.on(READ_OUTPUT, answer)
    daemon.on(GET_AGENT, SUCCEEDED)

    said = muster("run", "--", "anything")

    assert (said.code, said.out) == (0, b"first second")
    assert offsets == [0, 6, 6, 12]


def test_a_stream_that_ends_while_the_agent_lives_is_not_the_end(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(SPAWN, SpawnResponse(agent=an_agent()))
    pieces = [output((Kind.STDOUT, data), offset=offset) for offset, data in enumerate((b"a", b"b", b"c"))]
    answers = iter([*pieces, [Frame(3, Kind.END)]])
    daemon.on(READ_OUTPUT, lambda call: frames(*next(answers)))
    states = iter([an_agent(), an_agent(), SUCCEEDED, SUCCEEDED])
    daemon.on(GET_AGENT, lambda call: next(states))

    assert muster("run", "--", "anything").out == b"abc"


def test_a_gap_is_said_on_stderr(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(SPAWN, SpawnResponse(agent=an_agent()))
    daemon.on(
        READ_OUTPUT,
        lambda call: (
            frames(Frame(5_000_000, Kind.END))
            if call.query.offset
            else frames(
                gap_frame(0, 5_000_000), Frame(5_000_000, Kind.STDOUT, b"rest"), Frame(5_000_004, Kind.END)
            )
        ),
    )
    daemon.on(GET_AGENT, SUCCEEDED)

    said = muster("run", "--", "anything")

    assert said.out == b"rest"
    assert "4.8 MiB of output are gone" in said.err


def test_a_spawn_whose_answer_was_lost_is_repeated_under_the_same_key(
    muster: Muster, daemon: FakeServer
) -> None:
    script(daemon, SUCCEEDED)
    restarting: list[threading.Thread] = []

    def lose(call: Call) -> Any:
        if len(daemon.made(SPAWN)) == 1:
            restarting.append(threading.Thread(target=daemon.restart))
            restarting[0].start()
            restarting[0].join(1)
        return SpawnResponse(agent=an_agent(), created=len(daemon.made(SPAWN)) == 1)

    daemon.on(SPAWN, lose)

    said = muster("run", "--no-start", "--", "anything")
    restarting[0].join(10)

    assert (said.code, said.err) == (0, "")

    keys = {call.body.idempotency_key for call in daemon.made(SPAWN)}
    assert len(daemon.made(SPAWN)) == 2
    assert len(keys) == 1
    assert None not in keys


class Running:
    """A `muster run` whose agent goes on until it is stopped."""

    def __init__(
        self, muster: Muster, daemon: FakeServer, *options: str, ends_on_kill_only: bool = False
    ) -> None:
        self.stopped = threading.Event()
        self.stops: list[bool] = []
        daemon.on(SPAWN, SpawnResponse(agent=an_agent()))
        daemon.on(READ_OUTPUT, self._output)
        daemon.on(GET_AGENT, self._get)
        daemon.on(STOP_AGENT, self._stop)
        self.daemon = daemon
        self.ends_on_kill_only = ends_on_kill_only
        self.process = muster.start("run", *options, "--", "anything", start_new_session=True)
        assert self.process.stdout is not None
        assert self.process.stdout.read(7) == b"started"

    def _output(self, call: Call) -> Any:
        if call.query.offset:
            return frames(Frame(7, Kind.END))
        return frames(*output((Kind.STDOUT, b"started"))[:1], pause=self.stopped)

    def _get(self, call: Call) -> ManagedAgent:
        if call.query.wait == "ended":
            self.stopped.wait(60)
        return ended(Status.CANCELLED, CauseKind.STOPPED, signal=15) if self.stopped.is_set() else an_agent()

    def _stop(self, call: Call) -> ManagedAgent:
        self.stops.append(call.body.kill)
        if call.body.kill or not self.ends_on_kill_only:
            self.stopped.set()
        return an_agent(Status.STOPPING)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_the_agent_and_exits_as_if_it_had_hit(
    muster: Muster, daemon: FakeServer, number: int, code: int
) -> None:
    run = Running(muster, daemon)

    run.process.send_signal(number)

    assert run.process.wait(60) == code
    assert run.stops == [False]


def test_a_second_interrupt_kills(muster: Muster, daemon: FakeServer) -> None:
    run = Running(muster, daemon, ends_on_kill_only=True)

    run.process.send_signal(signal.SIGINT)
    until(lambda: run.stops == [False], "the first stop")
    run.process.send_signal(signal.SIGINT)

    assert run.process.wait(60) == 130
    assert run.stops == [False, True]


def test_a_third_interrupt_leaves_and_says_so(muster: Muster, daemon: FakeServer) -> None:
    run = Running(muster, daemon, ends_on_kill_only=True)
    daemon.on(STOP_AGENT, lambda call: (run.stops.append(call.body.kill), an_agent(Status.STOPPING))[1])

    for count in (1, 2, 3):
        run.process.send_signal(signal.SIGINT)
        until(lambda count=count: len(run.stops) >= min(count, 2), f"stop {count}")  # type: ignore[misc]

    assert run.process.wait(60) == 130
    assert run.process.stderr is not None
    assert b"ag-0123456789ab may still run" in run.process.stderr.read()
    run.stopped.set()


def test_a_reader_that_goes_away_stops_the_agent(muster: Muster, daemon: FakeServer) -> None:
    run = Running(muster, daemon)
    assert run.process.stdout is not None
    run.process.stdout.close()

    def more(call: Call) -> Any:
        if run.stopped.is_set():
            return frames(Frame(11, Kind.END))
        return frames(Frame(7, Kind.STDOUT, b"more"), pause=run.stopped)

    daemon.on(READ_OUTPUT, more)
    daemon.restart()

    assert run.process.wait(60) == 141
    assert run.stops == [False]


def test_stdin_dash_streams_to_the_agent_and_closes_its_stdin(muster: Muster, daemon: FakeServer) -> None:
    stopped = threading.Event()
    got = bytearray()

    def take(call: Call) -> InputResult:
        data = base64.b64decode(call.body.base64 or "")
        taken = data[:1000] if len(got) < 1000 else data  # a pipe that takes a part
        got.extend(taken)
        if call.body.eof:
            stopped.set()
        return InputResult(receipt="written" if taken == data else "partial", bytes=len(taken))

    daemon.on(SPAWN, SpawnResponse(agent=an_agent()))
    daemon.on(SEND_INPUT, take)
    daemon.on(GET_AGENT, lambda call: (stopped.wait(60), SUCCEEDED)[1])
    sent = os.urandom(200_000)

    daemon.on(READ_OUTPUT, lambda call: (stopped.wait(60), frames(Frame(0, Kind.END)))[1])
    said = muster("run", "--stdin", "-", "--", "cat", stdin=sent)

    assert said.code == 0
    assert bytes(got) == sent
    [spawn] = daemon.made(SPAWN)
    assert spawn.body.stdin_live is True
    assert spawn.body.stdin is None


def test_without_stdin_option_the_agents_is_closed(muster: Muster, daemon: FakeServer) -> None:
    script(daemon, SUCCEEDED)

    assert muster("run", "--", "cat", stdin=b"not for you").code == 0

    [spawn] = daemon.made(SPAWN)
    assert (spawn.body.stdin, spawn.body.stdin_base64, spawn.body.stdin_live) == (None, None, False)


def test_a_queued_agent_is_waited_for_and_says_why(muster: Muster, daemon: FakeServer) -> None:
    script(daemon, SUCCEEDED, (Kind.STDOUT, b"late"))
    queued = an_agent(Status.QUEUED, reason="no host is online")
    daemon.on(SPAWN, SpawnResponse(agent=queued))
    waited: list[Any] = []

    def get(call: Call) -> ManagedAgent:
        waited.append(call.query.wait)
        if waited.count("running") == 1:
            never.wait(call.query.timeout_ms / 1000 if call.query.wait else 0)
            return queued
        return SUCCEEDED

    never = threading.Event()
    daemon.on(GET_AGENT, get)

    said = muster("run", "--", "anything")

    assert (said.code, said.out) == (0, b"late")
    assert "no host is online" in said.err
    assert waited[:1] == ["running"]
    assert waited[-1] == "ended"


def provided(agent: ManagedAgent, **said: Any) -> ManagedAgent:
    return msgspec.structs.replace(agent, provider="claude", provider_session_id="s", **said)


@pytest.mark.parametrize(
    ("end", "code", "out", "err"),
    [
        (provided(SUCCEEDED, result="done"), 0, b"done\n", ""),
        (SUCCEEDED, 0, b"{words}", ""),
        (
            provided(
                ended(Status.FAILED, CauseKind.EXIT, "API Error: 400", exit_code=1), error="API Error: 400"
            ),
            1,
            b"",
            "muster: ag-0123456789ab failed: API Error: 400\n",
        ),
        (
            provided(ended(Status.CANCELLED, CauseKind.STOPPED), result=None),
            1,
            b"",
            "ag-0123456789ab cancelled: it did",
        ),
    ],
    ids=["answer", "no protocol", "error", "stopped"],
)
def test_of_a_provider_the_answer_is_printed_or_why_there_is_none(
    muster: Muster, daemon: FakeServer, end: ManagedAgent, code: int, out: bytes, err: str
) -> None:
    script(daemon, end, (Kind.STDOUT, b"{words}"))
    daemon.on(LIST_APPROVALS, [])

    said = muster("run", "-p", "claude", "go")

    assert (said.code, said.out) == (code, out)
    assert err in said.err
