# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""What a fork server does so that the keepers it forks write to few of the pages that they share."""

import posix

from spawners.keeper.connection import Connection
from spawners.keeper.files import dumps, loads
from spawners.keeper.host import Listener, MemoryEvidence, Tree, boot_id, started_of
from spawners.keeper.keeper import Keeper
from spawners.keeper.processes import Member
from spawners.keeper.spool import Spool
from spawners.keeper.terminal import Terminal

POOL, POOL_HEAD = 16384, 48  # bytes, in Objects/obmalloc.c of CPython since 3.10
BYTES_HEAD = 33  # of a bytes object, with the NUL at its end


def rehearse() -> None:
    """Do some of what every keeper does at its start, so that doing it is quick.

    In the fork server often enough for the interpreter to have specialized the code (each keeper would
    copy the pages where that is noted); in the process that waits once, for the pages that it writes to.
    """
    loads(dumps({"me": started_of(posix.getpid()), "boot": boot_id()}).encode())
    MemoryEvidence()
    Spool("/", 1, 1).held()


def look_up() -> None:
    """Find every attribute once: CPython notes in a table where it is, and each keeper would copy that."""
    for kind in (Keeper, Connection, Spool, Terminal, Tree, Listener, Member, MemoryEvidence):
        bare = object.__new__(kind)
        for base in kind.__mro__[:-1]:
            for name in [*vars(base), *base.__init__.__code__.co_names]:  # type: ignore[misc]
                getattr(bare, name, None)


def fill_gaps() -> "list[bytes]":
    """What fills the room between the objects that are there, for as long as it is kept: what a keeper makes
    then lies together in new memory, not on many pages that it would else share.

    CPython puts objects of up to 512 bytes by size into pools, and begins a new one when all are full.
    """
    filling: list[bytes] = []
    for size in range(BYTES_HEAD + 15, 513, 16):
        most, last, run = (POOL - POOL_HEAD) // size, 0, 0
        for _ in range(8 * most):  # far more than are needed: where memory is not in pools this must end
            filling.append(bytes(size - BYTES_HEAD))
            pool = id(filling[-1]) // POOL
            last, run = pool, run + 1 if pool == last else 1
            if run == most:  # a whole pool, so it was a new one: it is given back
                del filling[-most:]
                break
    return filling
