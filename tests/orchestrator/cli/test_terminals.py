"""`send`, `screen`, `resize`, `logs` and `export` of an agent in a terminal: what they ask and print."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from local_api import NOW, FakeServer, an_agent, frames
from muster_command import Muster

from relay.wire.agents import ExitFacts, ManagedAgent, Mode, Status
from relay.wire.endpoints import (
    GET_AGENT,
    GET_SCREEN,
    OPEN_AGENT,
    READ_OUTPUT,
    RESIZE_AGENT,
    SEND_INPUT,
    SEND_TO_AGENT,
)
from relay.wire.errors import ApiError, Code
from relay.wire.output import Frame, Kind, gap_frame, size_frame, time_frame
from relay.wire.serving import Call, Streamed
from relay.wire.terminal import OpenResult, Receipt, ScreenFormat, ScreenResult, SendResult
from relay.wire.windows import Window, WindowState
from spawners.terminals.multiplexers import attaching

SIZE = {"rows": 4, "columns": 40}


def embedded(status: Status = Status.RUNNING, **facts: Any) -> ManagedAgent:
    return an_agent(status, **{"mode": Mode.EMBEDDED, "size": SIZE, **facts})


@pytest.fixture
def agent(daemon: FakeServer) -> FakeServer:
    daemon.on(GET_AGENT, embedded())
    return daemon


# -- open


@pytest.mark.parametrize(
    ("handles", "command"),
    [
        ({"TMUX": "/run/w,1/tmux,77,5", "TMUX_PANE": "%1"}, "tmux -S /run/w,1/tmux attach -t '$5'"),
        ({"STY": "77.w-1", "WINDOW": "0"}, "screen -r 77.w-1"),
        ({"ZELLIJ_SESSION_NAME": "my own"}, "zellij attach 'my own'"),
    ],
)
def test_who_gets_a_window_in_a_multiplexer_is_told_how_to_see_it(
    muster: Muster, agent: FakeServer, handles: dict[str, str], command: str
) -> None:
    assert attaching(handles) == command
    window = Window(id="w-1", terminal="some", state=WindowState.OPEN, shown_by=command)
    agent.on(OPEN_AGENT, OpenResult(agent=embedded(window=window), action="opened"))

    said = muster("open", "x")

    assert (said.code, said.text) == (0, "ag-0123456789ab opened in some\n")
    assert said.err == f"muster: the window of ag-0123456789ab is in some, `{command}` shows it\n"
    muster.variables |= handles
    assert muster("open", "x").err == "", "it is where they sit"


# -- send


def receipt(kind: Receipt, **facts: Any) -> SendResult:
    return SendResult(receipt=kind, evidence="its input was cleared", **facts)


def test_a_message_is_typed_submitted_and_answered_with_a_receipt(muster: Muster, agent: FakeServer) -> None:
    agent.on(SEND_TO_AGENT, receipt(Receipt.SUBMITTED, waited_ms=2100))

    said = muster("send", "x", "fix", "the test", "--wait", "1m")

    assert (said.code, said.text) == (0, "submitted after 2.1 s of waiting: its input was cleared\n")
    asked = agent.made(SEND_TO_AGENT)[0].body
    assert (asked.text, asked.keys, asked.submit, asked.force) == ("fix the test", [], True, False)
    assert asked.wait_ms == 60_000


@pytest.mark.parametrize(
    ("options", "kind", "code"),
    [
        ([], Receipt.SUBMITTED, 0),
        ([], Receipt.TYPED, 1),
        ([], Receipt.UNKNOWN, 1),
        (["--no-submit"], Receipt.TYPED, 0),
        (["--no-submit"], Receipt.UNKNOWN, 1),
        (["--keys"], Receipt.TYPED, 0),
        (["--keys"], Receipt.UNKNOWN, 1),
    ],
)
def test_it_exits_by_the_receipt(
    muster: Muster, agent: FakeServer, options: list[str], kind: Receipt, code: int
) -> None:
    agent.on(SEND_TO_AGENT, receipt(kind))

    said = muster("send", "x", "Enter", *options)

    assert said.code == code
    assert said.text.startswith(f"{kind}: ")
    assert ("nothing is sent again" in said.err) == bool(code)


def test_keys_force_and_a_message_from_stdin(muster: Muster, agent: FakeServer) -> None:
    agent.on(SEND_TO_AGENT, receipt(Receipt.SUBMITTED))

    muster("send", "x", "--keys", "C-c", "Up", "Enter")
    muster("send", "x", "--force", "--no-submit", "-", stdin="zwei\nZeilen ü\n".encode())
    said = muster("send", "x", "--json", "--", "-v")

    asked = [call.body for call in agent.made(SEND_TO_AGENT)]
    assert (asked[0].keys, asked[0].text) == (["C-c", "Up", "Enter"], None)
    assert (asked[1].text, asked[1].submit, asked[1].force) == ("zwei\nZeilen ü", False, True)
    assert asked[2].text == "-v"
    assert said.json["receipt"] == "submitted"


@pytest.mark.parametrize(
    ("mode", "options", "says"),
    [
        (Mode.EMBEDDED, ["--eof"], "C-d"),
        (Mode.EMBEDDED, ["--stdin"], "reads it from stdin"),
        (Mode.EMBEDDED, ["text", "--wait", "soon"], "no length of time"),
        (Mode.HEADLESS, ["Up", "--keys"], "headless"),
        (Mode.HEADLESS, ["text", "--no-submit"], "headless"),
    ],
)
def test_what_only_the_other_mode_has_is_refused(
    muster: Muster, daemon: FakeServer, mode: Mode, options: list[str], says: str
) -> None:
    daemon.on(GET_AGENT, an_agent(mode=mode))

    said = muster("send", "x", *options)

    assert said.code == 2
    assert says in " ".join(said.err.split())
    assert daemon.made(SEND_TO_AGENT) == daemon.made(SEND_INPUT) == []


# -- screen and size


def screen(call: Call) -> ScreenResult:
    return ScreenResult(
        agent_id="ag-0123456789ab", rows=4, columns=40, cursor_row=1, cursor_column=2, cursor_visible=True,
        title="t", alternate=True, offset=9, format=call.query.format, content=f"as {call.query.format}",
        engine="ghostty",
    )  # fmt: skip


@pytest.mark.parametrize("form", list(ScreenFormat))
def test_the_screen_in_each_format(muster: Muster, agent: FakeServer, form: ScreenFormat) -> None:
    agent.on(GET_SCREEN, screen)
    option = [] if form is ScreenFormat.TEXT else [f"--{form}"]

    assert muster("screen", "x", *option).text == f"as {form}\n"
    assert muster("screen", "x", *option, "--json").json["cursorRow"] == 1
    assert muster("screen", "x", "--ansi", "--html").code == 2


def test_resize_asks_for_columns_by_rows_and_says_when_a_viewer_counts_more(
    muster: Muster, agent: FakeServer
) -> None:
    agent.on(RESIZE_AGENT, embedded(size={"rows": 40, "columns": 120}))
    assert muster("resize", "x", "120x40").err == ""
    body = agent.made(RESIZE_AGENT)[0].body
    assert (body.rows, body.columns) == (40, 120)

    assert "stays 120x40" in muster("resize", "x", "80x24").err
    assert muster("resize", "x", "80").code == 2
    agent.on(RESIZE_AGENT, ApiError(Code.CONFLICT, "it has no terminal"))
    assert muster("resize", "x", "80x24").code == 1


# -- what was written, as text


def recorded(*items: Frame | tuple[int, bytes], last: Kind = Kind.END) -> list[Frame]:
    """Frames of a terminal of 4 rows; a pair is when and what it wrote."""
    made, offset = [size_frame(0, SIZE["rows"], SIZE["columns"])], 0
    for item in items:
        if isinstance(item, Frame):
            made.append(item)
            offset = item.end
            continue
        made += [time_frame(offset, item[0]), Frame(offset, Kind.PTY, item[1])]
        offset += len(item[1])
    return [*made, Frame(offset, last)]


def played(made: list[Frame], call: Call) -> Streamed:
    kept = [frame for frame in made if not frame.data or frame.end > call.query.offset or call.query.timed]
    return frames(*[frame for frame in kept if call.query.offset <= frame.offset])


LINES = b"".join(b"\x1b[3%dmline %d\x1b[0m\r\n" % (number % 8, number) for number in range(10))


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ([], "".join(f"line {number}\n" for number in range(10))),
        (["--tail", "2"], "line 8\nline 9\n"),
        (["-f", "--tail", "2"], "line 8\nline 9\n"),
        (["--tail", "0"], ""),
        (["-f"], "".join(f"line {number}\n" for number in range(10))),
    ],
)
def test_logs_print_what_could_be_read(
    muster: Muster, agent: FakeServer, options: list[str], printed: str
) -> None:
    made = recorded((NOW, LINES))
    agent.on(GET_AGENT, embedded(Status.SUCCEEDED))
    agent.on(READ_OUTPUT, lambda call: played(made, call))

    said = muster("logs", "x", *options)

    assert (said.code, said.text, said.err) == (0, printed, "")


def test_followed_lines_come_when_they_have_settled(muster: Muster, agent: FakeServer) -> None:
    """Long before they scroll off the screen, and while the program runs on."""
    made = recorded((NOW, b"first\r\nunfinished"), last=Kind.PAUSE)
    agent.on(READ_OUTPUT, lambda call: played(made, call))

    following = muster.start("logs", "-f", "x")

    assert following.stdout is not None
    assert following.stdout.readline() == b"first\n"
    following.kill()


def test_raw_logs_are_the_bytes(muster: Muster, agent: FakeServer) -> None:
    agent.on(READ_OUTPUT, lambda call: played(recorded((NOW, LINES)), call))

    assert muster("logs", "x", "--raw").out == LINES
    assert muster("logs", "x", "--offset", "3").code == 2


def test_since_shows_only_what_came_later(muster: Muster, daemon: FakeServer) -> None:
    now = round(time.time() * 1000)
    hour = 3_600_000
    pieces = [(now - 2 * hour, b"old\r\n"), (now - 60_000, b"new\r\n")]
    made = recorded(*pieces)
    daemon.on(READ_OUTPUT, lambda call: played(made, call))
    iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1000 - 1800))

    daemon.on(GET_AGENT, an_agent(Status.SUCCEEDED, mode=Mode.EMBEDDED, size=SIZE))
    assert muster("logs", "x", "--since", "1h").out == b"new\n"
    assert muster("logs", "x", "--since", iso).out == b"new\n"
    assert muster("logs", "x", "--since", "30s").out == b""
    assert muster("logs", "x", "--since", "5h", "--tail", "1").out == b"new\n"
    daemon.on(GET_AGENT, an_agent(Status.SUCCEEDED, mode=Mode.HEADLESS, size=SIZE))
    assert muster("logs", "x", "--since", "1h").out == b"new\r\n"
    refused = muster("logs", "x", "--since", "yesterday")
    assert (refused.code, "time of day" in refused.err) == (2, True)


# -- recordings


@pytest.fixture
def ended(daemon: FakeServer) -> FakeServer:
    made = recorded(
        (NOW + 500, "grü".encode()[:-1]), (NOW + 1500, "grü".encode()[-1:] + b"\r\n"),
        Frame(7, Kind.SIZE, size_frame(7, 10, 20).data), (NOW + 2000, b"end\r\n"),
    )  # fmt: skip
    facts = ExitFacts(at=NOW + 2000, exit_code=3)
    daemon.on(GET_AGENT, embedded(Status.FAILED, started_at=NOW, title="vim x", label="me", exit=facts))
    daemon.on(READ_OUTPUT, lambda call: played(made, call))
    return daemon


def test_a_recording_has_the_true_times_sizes_and_the_exit(muster: Muster, ended: FakeServer) -> None:
    said = muster("export", "x", "--cast")

    header, *events = [msgspec.json.decode(line) for line in said.out.splitlines()]
    assert (header["version"], header["term"]["cols"], header["term"]["rows"]) == (3, 40, 4)
    assert (header["timestamp"], header["command"], header["title"]) == (NOW // 1000, "vim x", "me")
    assert events[0] == [0.5, "o", "gr"]
    assert [0.5, "o", "end\r\n"] in events or [0.0, "r", "20x10"] in events
    assert "".join(event[2] for event in events if event[1] == "o") == "grü\r\nend\r\n"
    assert sum(event[0] for event in events) == 2.0
    assert events[-1][1:] == ["x", "3"]


def test_a_file_is_never_replaced_unasked(muster: Muster, ended: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"

    assert muster("export", "x", "--text", str(file)).code == 0
    assert file.read_text() == "grü\nend\n"
    file.write_text("mine")
    refused = muster("export", "x", "--text", str(file))
    assert (refused.code, "--force" in refused.err, file.read_text()) == (2, True, "mine")
    assert muster("export", "x", "--text", str(file), "--force").code == 0
    assert file.read_text() == "grü\nend\n"
    assert muster("export", "x", "--text", "-").text == "grü\nend\n"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("options", [[], ["--cast", "--text"], ["--cast", "/nowhere/at/all"]])
def test_an_export_that_cannot_be_meant_is_refused(
    muster: Muster, ended: FakeServer, options: list[str]
) -> None:
    assert muster("export", "x", *options).code == 2


def test_a_headless_agent_has_nothing_to_export(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(GET_AGENT, an_agent())

    said = muster("export", "x", "--cast")

    assert (said.code, "muster logs" in said.err) == (2, True)


def test_what_was_rotated_away_is_said(muster: Muster, agent: FakeServer) -> None:
    made = recorded(gap_frame(0, 50), (NOW, b"rest\r\n"))
    agent.on(READ_OUTPUT, lambda call: played(made, call))

    assert "50 bytes of output are missing" in muster("logs", "x").text
