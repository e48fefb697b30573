# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""Which processes are the program's where no process can adopt the orphans of its tree (macOS).

What its parent leaves behind goes to launchd there, so each process is told by evidence:

- its parent is of the tree;
- it is in the session of the program, which leads one, or of another of the tree;
- it was started by one that was ever seen in the tree (`libproc.unique_of`), whatever became of that;
- its environment carries the mark of the agent.

One that escapes all four was started by a process which nobody has seen, in a session of its own, and is a
program of the system, whose environment is not told, or has another one.
"""

import posix

from spawners.keeper.libproc import Entry, everyone, has_mark, started_of, unique_of
from spawners.keeper.processes import signal_quietly
from spawners.keeper.tree import Tree

MYPY = False
if MYPY:
    from typing import Any

    from spawners.keeper.processes import Member
    from spawners.keeper.terminal import Terminal

PLACE = "MUSTER_AGENT_DIR"  # as `spawners.tree` has it


class Lineage:
    """What is known of one tree, and grows with every look at it."""

    def __init__(self) -> None:
        self.mark = b""
        self.unique: set[int] = set()  # of all that were ever seen in the tree
        self.sessions: set[int] = set()  # that were begun in it
        self.strangers: set[tuple[int, int]] = set()  # (pid, started): looked at, and without the mark
        self.uniques: dict[tuple[int, int], tuple[int, int]] = {}

    def expect(self, program: int, mark: bytes) -> None:
        """This is the program, the leader of its session; all that is executed in it has `mark`."""
        self.mark = mark
        self.sessions.add(program)
        self.unique.add(unique_of(program)[0])
        self.unique.discard(0)

    def living(self, keeper: int) -> "list[Entry]":
        """All of the tree below the keeper that live (not zombies), nearest first."""
        table = everyone()
        self.forget(table)
        found: dict[int, Entry] = {}
        open_ones = [entry for entry in table if entry.pid != keeper]
        while open_ones:
            level = [entry for entry in open_ones if self.belongs(entry, keeper, found)]
            if not level:
                break
            found.update((entry.pid, entry) for entry in level)
            open_ones = [entry for entry in open_ones if entry.pid not in found]
        self.close_sessions(found)
        return [entry for entry in found.values() if entry.state != "Z"]

    def belongs(self, entry: Entry, keeper: int, found: "dict[int, Entry]") -> bool:
        if entry.parent != keeper and entry.parent not in found and entry.session not in self.sessions:
            starter = self.unique_of(entry)[1]
            if starter not in self.unique and not self.is_marked(entry):
                return False
        self.unique.add(self.unique_of(entry)[0])
        self.unique.discard(0)
        if entry.session == entry.pid:
            self.sessions.add(entry.pid)
        return True

    def unique_of(self, entry: Entry) -> "tuple[int, int]":
        key = (entry.pid, entry.started)
        if key not in self.uniques:
            self.uniques[key] = unique_of(entry.pid)
        return self.uniques[key]

    def is_marked(self, entry: Entry) -> bool:
        """A stranger stays one: the mark comes with the environment of whoever starts a process."""
        key = (entry.pid, entry.started)
        if not self.mark or entry.state == "Z" or key in self.strangers:
            return False
        try:
            if has_mark(entry.pid, self.mark):
                return True
        except OSError:  # another user's, or being executed at this moment
            return False
        self.strangers.add(key)
        return False

    def forget(self, table: "list[Entry]") -> None:
        """Drop what was noted of processes that are gone: a daemon of weeks sees millions."""
        here = {(entry.pid, entry.started) for entry in table}
        self.strangers &= here
        self.uniques = {key: value for key, value in self.uniques.items() if key in here}

    def close_sessions(self, found: "dict[int, Entry]") -> None:
        """A session without members has ended, and its number may become that of somebody else's."""
        self.sessions &= {entry.session for entry in found.values()} | {
            entry.pid for entry in found.values() if entry.session == 0
        }


class LineageTree(Tree):
    """The tree below a keeper that is nobody's subreaper. That something in it has ended, which is no child
    of the keeper, is seen when the next rung is due."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.lineage = Lineage()

    def start(self, spec: "dict[str, Any]", stdio: "list[int] | Terminal", wake: int) -> int:
        pid = super().start(spec, stdio, wake)
        mark = "%s=%s" % (PLACE, spec["env"].get(PLACE, ""))
        self.lineage.expect(pid, mark.encode("utf-8", "surrogateescape"))
        return pid

    def members(self) -> "list[Member]":
        try:
            return self.lineage.living(self.me)  # type: ignore[return-value]  # all that is asked of one
        except OSError:
            return []

    def interrupt(self, terminal: "Terminal | None") -> bool:
        self.members()  # whom they leave behind when they end is known by them
        return super().interrupt(terminal)

    def terminate(self, terminal: "Terminal | None") -> bool:
        self.members()
        return super().terminate(terminal)

    def is_empty(self) -> bool:
        """Never told by the group: its number may be that of others by now."""
        return self.childless and not self.members()

    def send(self, member: "Member", number: int) -> None:
        if member.started and started_of(member.pid) == member.started:
            signal_quietly(posix.kill, member.pid, number)
