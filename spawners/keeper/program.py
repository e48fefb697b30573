# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""The keeper as a process of its own, and the server that forks keepers which are loaded already."""

import _signal  # type: ignore[import-not-found, unused-ignore]
import _socket
import _struct
import fcntl
import gc
import posix
import select

from spawners.keeper.birth import Abandoned
from spawners.keeper.execute import TAKEN, make_way
from spawners.keeper.files import loads
from spawners.keeper.keeper import Keeper
from spawners.keeper.processes import PRCTL, become_subreaper
from spawners.keeper.sharing import fill_gaps, look_up, rehearse
from spawners.keeper.system import ARMED, SIGKILL, failpoint
from spawners.keeper.wire import READ_SIZE

CMSG_CLOEXEC = 0x40000000  # MSG_CMSG_CLOEXEC, which typeshed does not list for `_socket`
FORK_PAUSE_MS = 50  # after a fork that came to nothing
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
WARM_UP = 20  # calls; CPython 3.11 specializes a function at its eighth, later ones sooner


def keep(directory: str, lock_fd: int, control_fd: int, gate: bool) -> int:
    """Be the keeper of this directory's agent; the exit code of the process."""
    for fd in (lock_fd, control_fd):
        posix.set_inheritable(fd, False)  # the program must hold neither the lock nor the line
    fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # already ours: fails only if it was not handed over
    keeper = Keeper(directory, _socket.socket(fileno=control_fd))
    try:
        started = keeper.start(gate)
    except Abandoned:
        return 1  # another keeper may have begun in this directory: nothing in it is ours
    make_way()  # not before the daemon has been told
    if not started:
        keeper.say_goodbye()
        return 1
    keeper.run()
    return 0


def zygote(fd: int) -> None:
    """Keep a process ready to be the next keeper, until the daemon at the other end of `fd` is gone.

    A request is one packet on `fd`: JSON {directory, umask, failpoints} with the lock, the control connection
    and the log as file descriptors. The process that is ready takes it and becomes the keeper, always
    with a gate; then the next is forked. All that keepers need has been loaded by then, so that they share
    its memory. There is one thread and nothing but C modules: a fork of that is safe. Keepers know nothing
    of their origin and outlive it; the one that is still waiting does not.
    """
    server = _socket.socket(fileno=fd)
    posix.set_inheritable(fd, False)
    if not become_subreaper():
        return  # without prctl its keepers would be less than executed ones
    PRCTL[0](36, 0, 0, 0, 0)  # it was for what that loads; orphans of a killed keeper are not ours to have
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # nobody has to collect a keeper
    for _ in range(WARM_UP):
        rehearse()
    server.send(b"ready")
    if not server.recv(READ_SIZE):  # until we are in the cgroup that keepers are to live in
        return
    look_up()
    gc.collect()
    filling = fill_gaps()  # noqa: F841  # kept for as long as we live
    gc.freeze()
    poll = select.poll()
    poll.register(fd, 0)  # tells nothing but that the daemon has hung up
    me = posix.getpid()
    while True:
        taken, notify = posix.pipe()
        try:
            if posix.fork() == 0:
                posix.close(taken)
                wait_to_be_born(server, notify, me)
        except OSError:
            pass  # no process can be had now: as if it had died, below
        posix.close(notify)
        poll.register(taken, select.POLLIN)
        if any(found == fd for found, _ in poll.poll()):
            return
        poll.unregister(taken)
        if not posix.read(taken, 1) and poll.poll(FORK_PAUSE_MS):
            return
        posix.close(taken)


def wait_to_be_born(server: "_socket.socket", notify: int, zygote_pid: int) -> None:
    """In the forked process: take the next request and be its keeper, as if executed. Never returns."""
    code = 1
    try:
        prctl = PRCTL[0]
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if posix.getppid() != zygote_pid:
            posix._exit(0)  # it died before that
        posix.setsid()
        prctl(PR_SET_NAME, b"muster-keeper", 0, 0, 0)
        rehearse()
        data, handed = receive(server)
        if not data:
            posix._exit(0)
        prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)
        TAKEN.append(notify)
        server.close()
        request = loads(data)
        lock_fd, control_fd, log_fd = handed
        posix.dup2(log_fd, 2)
        posix.close(log_fd)
        posix.umask(request["umask"])
        ARMED[:] = request["failpoints"]
        failpoint("in_zygote")
        code = keep(request["directory"], lock_fd, control_fd, True)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        make_way()
        posix._exit(code)


def receive(server: "_socket.socket") -> "tuple[bytes, list[int]]":
    """One request and its file descriptors; empty at the end."""
    try:
        data, notes, _, _ = server.recvmsg(READ_SIZE, 64, CMSG_CLOEXEC)
    except OSError:
        return b"", []
    handed: list[int] = []
    for _, kind, content in notes:
        if kind == _socket.SCM_RIGHTS:
            handed += _struct.unpack("%di" % (len(content) // 4), content[: len(content) // 4 * 4])
    return data, handed


def main() -> None:
    if sys.argv[1] == "--zygote":
        zygote(int(sys.argv[2]))
    else:
        sys.exit(keep(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:] == ["gate"]))
