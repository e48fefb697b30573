"""Records the sessions of this folder again: `python tests/golden/terminal/record.py [NAME…]`.
With `--expect` it only asks tmux again.

Runs each program in a terminal of 80x24, types its keys when what they answer is on the screen, and
writes what it put out as NAME.vt. NAME.json says, for some points of that output, what tmux shows of
it: not our emulators are asked, but a terminal that people use. Needs the programs, tmux, and for the
provider CLIs a folder with `node_modules/.bin` in MUSTER_TEST_NPM. As root on Linux, for htop to see
only itself, and with no way out for the CLIs: `unshare -n sh -c 'ip link set lo up; python …/record.py'`.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1] / "fakes")]

import ptyprocess  # noqa: E402
from sessions import CLIS, SESSIONS, Session  # noqa: E402
from stub_fixtures import StubModel  # noqa: E402

from spawners.launch import Size  # noqa: E402
from spawners.screen.engines import open_screen  # noqa: E402

SIZE = Size(24, 80)
QUIET_S = 0.7
"""So long without output, and the screen is taken for finished."""
DEADLINE_S = 60.0


class Recorder:
    """One program in its terminal; everything it puts out, and the marks in it."""

    def __init__(self, session: Session, home: Path, env: dict[str, str]) -> None:
        self.output = bytearray()
        self.marks: list[tuple[str, int]] = []
        self._screen = open_screen(SIZE)
        folder = home / "work"
        self._process = ptyprocess.PtyProcess.spawn(
            session.argv, cwd=str(folder), env=env, dimensions=(24, 80)
        )

    def run(self, steps: list[str]) -> None:
        for step in steps:
            kind, _, value = step.partition(":")
            if kind == "see":
                self._until(value)
            elif kind == "type":
                self._process.write(value.encode())
                self._settle()
            else:
                self._settle()
                self.marks.append((value, len(self.output)))

    def close(self) -> None:
        self._process.close(force=True)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._process.fd], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._process.fd, 65536)
        except OSError:
            return False
        self.output += data
        self._screen.feed(data)
        if replies := self._screen.replies():
            self._process.write(replies)
        return bool(data)

    def _settle(self) -> None:
        end = time.monotonic() + DEADLINE_S
        while self._read(QUIET_S) and time.monotonic() < end:
            pass

    def _until(self, wanted: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while not re.search(wanted, text := "\n".join(self._screen.text()) + "\n"):
            self._read(QUIET_S)
            if time.monotonic() > end:
                raise TimeoutError(f"{wanted!r} never came; the screen:\n{text}")


def tmux(server: str, *words: str) -> str:
    return subprocess.run(["tmux", "-L", server, *words], check=True, capture_output=True, text=True).stdout


LINE_DRAWING = str.maketrans("`afgijklmnopqrstuvwxyz{|}~", "◆▒°±␤┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")


def captured(server: str) -> str:
    """The pane as text. Line drawing has its own letters in tmux, between shift out and shift in."""
    text = re.sub(r"\x1b\[[0-9;:]*m", "", tmux(server, "capture-pane", "-p", "-e"))
    return re.sub(r"\x0e([^\x0f]*)\x0f?", lambda found: found[1].translate(LINE_DRAWING), text)


def seen_by_tmux(data: bytes) -> dict[str, object]:
    """What a tmux pane of our size shows after these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data").write_bytes(data)
        server = f"muster-golden-{Path(folder).name}"  # its own: one that ends refuses new sessions
        show = f"stty raw -echo; cat {folder}/data; touch {folder}/done; exec sleep 100"
        config = Path(folder) / "tmux.conf"
        config.write_text("set -g status off\nset -g allow-rename off\n")
        tmux(server, "-u", "-f", str(config), "new-session", "-d", "-x", "80", "-y", "24", show)
        try:
            before = None
            while not os.path.exists(f"{folder}/done") or before != (now := captured(server)):
                before = captured(server)
                time.sleep(0.2)
            facts = tmux(
                server,
                "display",
                "-p",
                "#{cursor_y} #{cursor_x} #{alternate_on} #{cursor_flag} #{pane_title}",
            )
        finally:
            tmux(server, "kill-server")
    row, column, alternate, visible, title = facts.rstrip("\n").split(" ", 4)
    return {
        "text": [line.rstrip(" ") for line in now.split("\n")[: SIZE.rows]],
        "cursor": [int(row), min(int(column), SIZE.columns - 1)],
        "alternate": alternate == "1",
        "visible": visible == "1",
        "title": title if re.search(rb"\x1b\][02];", data) else "",
    }


def record(name: str, session: Session, url: str, env: dict[str, str]) -> None:
    home = Path("/tmp/muster-golden")
    shutil.rmtree(home, ignore_errors=True)
    (home / "work").mkdir(parents=True)
    for file, text in session.files.items():
        (home / "work" / file).write_text(text)
    if session.trusted:
        session.trusted(home, url)
    base = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    recorder = Recorder(session, home, base | env | session.env | {"HOME": str(home)})
    try:
        recorder.run(session.steps)
    finally:
        recorder.close()
        shutil.rmtree(home, ignore_errors=True)
    (HERE / f"{name}.vt").write_bytes(recorder.output)
    expect(name, recorder.marks)


def expect(name: str, marks: list[tuple[str, int]]) -> None:
    """Write down what tmux shows of the recording at these points."""
    output = (HERE / f"{name}.vt").read_bytes()
    points = [{"mark": mark, "offset": at} | seen_by_tmux(output[:at]) for mark, at in marks]
    (HERE / f"{name}.json").write_text(json.dumps(points, ensure_ascii=False, indent=1) + "\n")
    print(name, len(output), "bytes,", len(points), "points")


def main(names: list[str]) -> None:
    if names[:1] == ["--expect"]:
        for name in names[1:] or [*SESSIONS, *CLIS]:
            points = json.loads((HERE / f"{name}.json").read_text())
            expect(name, [(point["mark"], point["offset"]) for point in points])
        return
    for name in names or list(SESSIONS):
        if name in SESSIONS:
            record(name, SESSIONS[name], "", {})
    wanted = [name for name in CLIS if name in names or not names]
    if wanted:
        os.environ["PATH"] += f"{os.pathsep}{os.environ['MUSTER_TEST_NPM']}/node_modules/.bin"
        model = StubModel()
        try:
            for name in wanted:
                record(name, CLIS[name], model.url, model.environment(Path("/tmp/muster-golden")))
        finally:
            model.close()


if __name__ == "__main__":
    main(sys.argv[1:])
