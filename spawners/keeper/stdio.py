# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""The signals that a keeper hears, and the pipes of its program."""

import _signal  # type: ignore[import-not-found, unused-ignore]
import posix
import resource  # `wait3` would import it at its first call, when this Python may have been replaced

from spawners.keeper.protocol import STDERR, STDOUT
from spawners.keeper.system import READ, SIGINT, SIGTERM, open_file

MYPY = False
if MYPY:
    from collections.abc import Callable


def prepare(ended: "Callable[..., None]", unheard: "Callable[..., None]", open_files: "int | None") -> int:
    """Hear signals from here on: `ended` is called for one that wants us to end, `unheard` for one of a
    daemon that cannot reach us. Returns a file that can be read whenever one has come, SIGCHLD too."""
    wake, write = posix.pipe()
    posix.set_blocking(wake, False)
    posix.set_blocking(write, False)
    _signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    _signal.signal(_signal.SIGCHLD, lambda *_: None)
    _signal.signal(SIGTERM, ended)
    _signal.signal(_signal.SIGUSR1, unheard)
    for number in (_signal.SIGHUP, SIGINT, _signal.SIGQUIT, _signal.SIGTSTP):
        _signal.signal(number, _signal.SIG_IGN)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
    if open_files:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(open_files, hard), hard))
    return wake


def open_pipes(source: "str | None") -> "tuple[list[int], int, dict[int, int]]":
    """The three files of a program in order; our end of its input; of each output, which stream it is.

    It reads the file `source`, and our end is -1, unless that is None. Our ends never block.
    """
    ours = -1
    if source is None:
        inner, ours = posix.pipe()
        posix.set_blocking(ours, False)
    else:
        inner = open_file(source or "/dev/null", READ)
    fds, outputs = [inner], {}
    for stream in (STDOUT, STDERR):
        outer, inner = posix.pipe()
        posix.set_blocking(outer, False)
        outputs[outer] = stream
        fds.append(inner)
    return fds, ours, outputs
