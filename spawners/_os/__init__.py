"""What differs between operating systems, under the same names; the choice is made here and nowhere else.

`boot_id()` · `processes()` · `process(pid)` · `has_mark(pid, mark)` · `send_signal(process, number)` ·
`on_exit(pid, callback)` · `collect(pid)` · `lock_new(path)` · `is_locked(path)` · `raise_file_limit()` ·
`why_unsupported` · `OwnTty` · `manager_socket(environ)` · `start_scope(path, name, pids, properties)` ·
`stop_unit(path, name)` · `unit_of(pid)` · `cgroup_limits(pid)` · `usable_cpus()` · `fork_is_safe` ·
`hand_over(line, data, fds)` · `resident_bytes(pid)` · `proportional_bytes(pid)` · `Group(argv, env, cwd)` ·
`find_program(name, path)` · `resolve(argv, path)` · `program_folders` · `start_server(argv, …)` ·
`stored_environment()` · `read_pipe(fd, take)` · `on_told_to_end(tell)` · `listen(handlers)` ·
`take_console()`
"""

from __future__ import annotations

import sys

from spawners._os.facts import Process
from spawners._os.manager import ManagerError

if sys.platform == "linux":
    from spawners._os.cgroups import (
        cgroup_limits,
        proportional_bytes,
        resident_bytes,
        unit_of,
        usable_cpus,
    )
    from spawners._os.systemd import manager_socket, start_scope, stop_unit
else:
    from spawners._os.manager import manager_socket, start_scope, stop_unit
    from spawners._os.usage import (
        cgroup_limits,
        fork_is_safe,
        proportional_bytes,
        resident_bytes,
        unit_of,
        usable_cpus,
    )

if sys.platform == "linux":
    from spawners._os.linux import boot_id, fork_is_safe, has_mark, on_exit, process, processes, send_signal
    from spawners._os.own_tty import OwnTty, take_console
    from spawners._os.posix import collect, hand_over, is_locked, lock_new, raise_file_limit, why_unsupported
elif sys.platform == "darwin":
    from spawners._os.darwin import boot_id, has_mark, on_exit, process, processes, send_signal
    from spawners._os.own_tty import OwnTty, take_console
    from spawners._os.posix import collect, hand_over, is_locked, lock_new, raise_file_limit, why_unsupported
else:
    from spawners._os.windows import (
        boot_id,
        collect,
        hand_over,
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

if sys.platform == "win32":
    from spawners._os.own_console import OwnTty, take_console
    from spawners._os.programs_windows import (
        Group,
        find_program,
        listen,
        on_told_to_end,
        program_folders,
        read_pipe,
        resolve,
        start_server,
        stored_environment,
    )
else:
    from spawners._os.programs_posix import (
        Group,
        find_program,
        listen,
        on_told_to_end,
        program_folders,
        read_pipe,
        resolve,
        start_server,
        stored_environment,
    )

__all__ = [
    "Group",
    "ManagerError",
    "OwnTty",
    "Process",
    "boot_id",
    "cgroup_limits",
    "collect",
    "find_program",
    "fork_is_safe",
    "hand_over",
    "has_mark",
    "is_locked",
    "listen",
    "lock_new",
    "manager_socket",
    "on_exit",
    "on_told_to_end",
    "process",
    "processes",
    "program_folders",
    "proportional_bytes",
    "raise_file_limit",
    "read_pipe",
    "resident_bytes",
    "resolve",
    "send_signal",
    "start_scope",
    "start_server",
    "stop_unit",
    "stored_environment",
    "take_console",
    "unit_of",
    "usable_cpus",
    "why_unsupported",
]
