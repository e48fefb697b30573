"""`muster open` brings a window to the front by what its terminal has told it, which the host remembers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from muster_processes import PYTHON, agent_argv
from running import Host
from windows import PROGRAM, Desk

from relay.wire import endpoints
from relay.wire.agents import Mode
from relay.wire.terminal import OpenRequest

TMUX = f"""#!/bin/sh
case "$*" in
  *new-session*)
    while [ "$1" != -- ]; do shift; done
    shift
    export TMUX=/run/tmux,1,0 TMUX_PANE=%7
    exec {PYTHON} -I -S {PROGRAM} "$@" ;;
  *) echo "$*" >>"$PTY_TERMINAL/asked" ;;
esac
"""


def test_a_window_is_brought_to_the_front_also_by_a_daemon_that_did_not_open_it(
    make_host: Callable[..., Host], desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "tmux"
    program.write_text(TMUX)
    program.chmod(0o755)
    (tmp_path / ".profile").write_text(f"PATH={tmp_path}/bin:$PATH\n")
    host = make_host("host", HOME=str(tmp_path), PTY_TERMINAL=str(desk.folder))
    host.start()
    agent = host.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL, terminal="tmux")
    desk.pane().shows("hello")
    host.kill()
    host.start()
    with host.client() as client:
        shown = client.call(endpoints.OPEN_AGENT, OpenRequest(), path={"id": agent.id})
    assert (shown.action, shown.notice) == ("focused", "")
    assert "-S /run/tmux select-window -t %7" in Path(desk.folder, "asked").read_text()
    assert len(desk.panes()) == 1
