# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""Starting the program: the search along PATH, exec, its controlling terminal, its processors."""

import _signal  # type: ignore[import-not-found, unused-ignore]
import _struct
import errno
import fcntl
import posix
import termios

from spawners.keeper.system import LINUX, SIGKILL

MYPY = False
if MYPY:
    from typing import Any

TAKEN: "list[int]" = []  # in a forked keeper: where it tells its zygote to fork the next


class NotStarted(Exception):
    """The program could not be executed: (errno, message, directories searched)."""


def execute(spec: "dict[str, Any]", stdio: "list[int] | str") -> int:
    """Start the program in a session of its own and return its pid; exec has then succeeded.

    `stdio` are the three files it gets, or the path of the terminal that becomes its controlling one.
    Raises NotStarted. Every signal starts at its default and unblocked, no other file is open in it.
    """
    try:
        posix.chdir(spec["cwd"])
    except OSError as error:
        message = "cannot use the directory %s: %s" % (spec["cwd"], error.strerror)
        raise NotStarted(error.errno, message, []) from None
    try:
        return search_and_spawn(spec["argv"], spec["env"], stdio)
    finally:
        posix.chdir("/")


def search_and_spawn(argv: "list[str]", env: "dict[str, str]", stdio: "list[int] | str") -> int:
    name = argv[0]
    if "/" in name:
        return spawn_at(name, argv, env, stdio, [])
    searched: list[str] = []
    denied = None
    for folder in env.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":"):
        searched.append(folder or ".")
        path = (folder or ".") + "/" + name
        try:
            posix.stat(path)
            return spawn_at(path, argv, env, stdio, searched)
        except NotStarted as error:
            if error.args[0] not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                raise
            denied = denied or error
        except OSError:
            continue
    if denied:
        raise NotStarted(denied.args[0], denied.args[1], searched)
    raise NotStarted(errno.ENOENT, "%s was not found in any directory of PATH" % name, searched)


def spawn_at(
    path: str, argv: "list[str]", env: "dict[str, str]", stdio: "list[int] | str", searched: "list[str]"
) -> int:
    actions: list[tuple[Any, ...]]
    if isinstance(stdio, str):
        # The leader of a new session that opens a terminal gets it as its controlling one (Linux).
        actions = [(posix.POSIX_SPAWN_OPEN, 0, stdio, posix.O_RDWR, 0)]
        actions += [(posix.POSIX_SPAWN_DUP2, 0, target) for target in (1, 2)]
    else:
        actions = [(posix.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(stdio)]
    default = _signal.valid_signals() - {SIGKILL, _signal.SIGSTOP}
    try:
        if isinstance(stdio, str) and not LINUX:
            return fork_in_terminal(path, argv, env, stdio)
        return posix.posix_spawn(
            path, argv, env, file_actions=actions, setsid=True, setsigdef=default, setsigmask=[]
        )
    except ValueError as error:  # an empty argument list, a NUL or "=" where none may be
        raise NotStarted(errno.EINVAL, "cannot execute %s: %s" % (path, error), searched) from None
    except OSError as error:
        message = "cannot execute %s: %s" % (path, explain(path, error))
        raise NotStarted(error.errno, message, searched) from None


def fork_in_terminal(path: str, argv: "list[str]", env: "dict[str, str]", terminal: str) -> int:
    """As `posix_spawn`, where a terminal has to be asked to become the controlling one (macOS, BSD)."""
    read_fd, write_fd = posix.pipe()  # closed by exec: what can be read is the errno of a failure
    pid = posix.fork()
    if pid == 0:
        try:
            posix.setsid()
            fd = posix.open(terminal, posix.O_RDWR)
            fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
            for target in range(3):
                posix.dup2(fd, target)
            for number in _signal.valid_signals() - {SIGKILL, _signal.SIGSTOP}:
                _signal.signal(number, _signal.SIG_DFL)
            _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
            posix.execve(path, argv, env)
        except (OSError, ValueError) as error:  # the latter for a NUL or "=" where none may be
            posix.write(write_fd, _struct.pack("!I", getattr(error, "errno", errno.EINVAL)))
        finally:
            posix._exit(127)
    posix.close(write_fd)
    try:
        failure = posix.read(read_fd, 4)
    finally:
        posix.close(read_fd)
    if failure:
        posix.waitpid(pid, 0)
        number = _struct.unpack("!I", failure)[0]
        raise OSError(number, posix.strerror(number))
    return pid


def explain(path: str, error: OSError) -> str:
    text = error.strerror or str(error)
    if error.errno == errno.ENOEXEC:
        return text + " (a script needs a first line such as #!/bin/sh)"
    if error.errno == errno.E2BIG:
        return text + " (hand long texts over on stdin or in a file)"
    if error.errno == errno.ENOENT:
        try:
            posix.stat(path)
            return "the interpreter named in its first line (#!), or its loader, does not exist"
        except OSError:
            pass
    return text


def confine(count: int) -> "set[int]":
    """Run on so many CPUs only, with all that is started from here on; returns those it was before.

    Neighbouring keepers begin at different ones.
    """
    if sys.platform != "linux":
        return set()
    before = posix.sched_getaffinity(0)
    usable = sorted(before)
    first = posix.getpid() % len(usable)
    posix.sched_setaffinity(0, (usable + usable)[first : first + min(count, len(usable))])
    return before


def release(cpus: "set[int]") -> None:
    if cpus and sys.platform == "linux":
        try:
            posix.sched_setaffinity(0, cpus)
        except OSError:
            pass  # those have been taken away meanwhile; what is left does as well


def make_way() -> None:
    """Let the next keeper be forked: on a small machine that would slow down the start of this one."""
    while TAKEN:
        notify = TAKEN.pop()
        try:
            posix.write(notify, b"!")
        except OSError:
            pass  # the zygote is gone
        posix.close(notify)
