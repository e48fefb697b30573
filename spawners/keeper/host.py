"""What is different on Windows, under the same names; the choice is made here and in `system.py` only.

`Tree` starts the program and knows all that comes of it, `Tty` is its terminal, `Listener` takes
connections, `MemoryEvidence` tells a kill for memory; `prepare` makes this process ready to hear signals.
"""

import sys

if sys.platform == "win32":
    from spawners.keeper.windows.console import Tty
    from spawners.keeper.windows.execute import NotStarted
    from spawners.keeper.windows.identity import MemoryEvidence, boot_id, started_of
    from spawners.keeper.windows.job import Ended, Tree
    from spawners.keeper.windows.listener import Listener
    from spawners.keeper.windows.stdio import confine, make_way, open_pipes, prepare, release
else:
    from spawners.keeper.execute import NotStarted, confine, make_way, release
    from spawners.keeper.listener import Listener
    from spawners.keeper.memory import MemoryEvidence
    from spawners.keeper.processes import boot_id, started_of
    from spawners.keeper.stdio import open_pipes, prepare
    from spawners.keeper.tree import Ended, Tree
    from spawners.keeper.tty import Tty

__all__ = [
    "Ended",
    "Listener",
    "MemoryEvidence",
    "NotStarted",
    "Tree",
    "Tty",
    "boot_id",
    "confine",
    "make_way",
    "open_pipes",
    "prepare",
    "release",
    "started_of",
]
