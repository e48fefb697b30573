"""What differs between operating systems, under the same names; the choice is made here and nowhere else.

`boot_id()` · `processes()` · `process(pid)` · `has_mark(pid, mark)` · `send_signal(process, number)` ·
`on_exit(pid, callback)` · `collect(pid)` · `lock_new(path)` · `is_locked(path)` ·
`raise_file_limit()` · `why_unsupported`
"""

from __future__ import annotations

import sys

from spawners._os.facts import Process

if sys.platform == "linux":
    from spawners._os.linux import boot_id, has_mark, on_exit, process, processes, send_signal
    from spawners._os.posix import collect, is_locked, lock_new, raise_file_limit, why_unsupported
elif sys.platform == "darwin":
    from spawners._os.darwin import boot_id, has_mark, on_exit, process, processes, send_signal
    from spawners._os.posix import collect, is_locked, lock_new, raise_file_limit, why_unsupported
else:
    from spawners._os.windows import (
        boot_id,
        collect,
        has_mark,
        is_locked,
        lock_new,
        on_exit,
        process,
        processes,
        raise_file_limit,
        send_signal,
        why_unsupported,
    )

__all__ = [
    "Process",
    "boot_id",
    "collect",
    "has_mark",
    "is_locked",
    "lock_new",
    "on_exit",
    "process",
    "processes",
    "raise_file_limit",
    "send_signal",
    "why_unsupported",
]
