"""A program's terminal: its size, its modes, and who types into it."""

import time

from spawners.keeper.connection import Refusal
from spawners.keeper.files import read_file, unlink, write_all
from spawners.keeper.host import Tty
from spawners.keeper.modes import ModeScan
from spawners.keeper.protocol import SIZES
from spawners.keeper.queries import Queries
from spawners.keeper.system import APPEND, CREATE, close, now_ms, open_file, rename, truncate

MYPY = False
if MYPY:
    from typing import Any

SIZES_KEPT = 32768  # records; half of them stay when the file is cut
TYPING_S = 2.0  # how long a person keeps the keyboard after a line is finished
DRAFT_S = 30.0  # and after a key that left a line unfinished
MAX_NAME = 128  # characters of a viewer's name; all of them stand in HELLO


class Viewer:
    """One who looks at the terminal; `active` orders them by who did something last."""

    __slots__ = ("active", "columns", "name", "read_only", "rows")

    def __init__(self, asked: "dict[str, Any]") -> None:
        self.name = str(asked["name"])[:MAX_NAME]
        self.rows, self.columns = checked_size(asked)
        self.read_only = bool(asked["readOnly"])
        self.active = time.monotonic()

    def shown(self) -> "dict[str, Any]":
        return {"name": self.name, "rows": self.rows, "columns": self.columns, "readOnly": self.read_only}


def checked_size(asked: "dict[str, Any]") -> "tuple[int, int]":
    rows, columns = asked["rows"], asked["columns"]
    if not (0 < rows <= 1000 and 0 < columns <= 1000):
        raise Refusal("failed", "a terminal has 1 to 1000 rows and columns")
    return rows, columns


class Terminal(Tty):
    """Our side of the program's terminal, and what is to be known about it."""

    def __init__(self, directory: str, size: "dict[str, int]") -> None:
        self.directory = directory
        super().__init__(size["rows"], size["columns"])
        self.sizes_fd = open_file(directory + "/sizes", APPEND)
        self.recorded = 0
        self.rows = self.columns = 0
        self.typed_by, self.free_at = "", 0.0
        self.queries = Queries()
        self.modes = ModeScan()
        self.note_size(size["rows"], size["columns"], 0)

    def resize(self, rows: int, columns: int, offset: int) -> bool:
        """Whether that changed anything."""
        if (rows, columns) == (self.rows, self.columns) or not self.set_size(rows, columns):
            return False
        self.note_size(rows, columns, offset)
        return True

    def note_size(self, rows: int, columns: int, offset: int) -> None:
        self.rows, self.columns = rows, columns
        try:
            if self.recorded >= SIZES_KEPT:
                self.cut_sizes()
            write_all(self.sizes_fd, SIZES.pack(offset, now_ms(), rows, columns))
            self.recorded += 1
        except OSError:  # a full disk: the screen of a later viewer may be wrapped wrongly for a while
            try:
                truncate(self.sizes_fd, self.recorded * SIZES.size)  # part of it would shift the next
            except OSError:
                pass

    def cut_sizes(self) -> None:
        path = self.directory + "/sizes"
        kept = read_file(path)[-SIZES_KEPT // 2 * SIZES.size :]
        unlink(path + ".tmp")
        fd = open_file(path + ".tmp", APPEND)
        try:
            write_all(fd, kept)
            rename(path + ".tmp", path)
        except OSError:
            close(fd)
            raise
        close(self.sizes_fd)
        self.sizes_fd, self.recorded = fd, len(kept) // SIZES.size

    def typed(self, name: str, data: bytes) -> None:
        """A person has typed: nothing automatic may come between their keys."""
        finished = data.endswith((b"\r", b"\n", b"\x03", b"\x04", b"\x1b", b"\x15"))
        self.typed_by = name or "somebody"
        self.free_at = time.monotonic() + (TYPING_S if finished else DRAFT_S)

    def free_in_ms(self) -> int:
        return max(0, int((self.free_at - time.monotonic()) * 1000))

    def before_delete(self, start: int, following: int) -> None:
        """Note which modes a segment of the spool has left the terminal in, before it is deleted.

        `prelude.<offset>` is what an emulator is to be fed before the first byte that is left.
        """
        try:
            self.modes.scan(read_file("%s/spool.%d" % (self.directory, start)))
            fd = open_file("%s/prelude.%d" % (self.directory, following), CREATE)
            try:
                write_all(fd, self.modes.prelude())
            finally:
                close(fd)
        except OSError:
            pass
        unlink("%s/prelude.%d" % (self.directory, start))
