"""What differs between operating systems, under the same names; the choice is made here and nowhere else.

`boot_id()` · `processes()` · `process(pid)` · `has_mark(pid, mark)` · `send_signal(process, number)` ·
`on_exit(pid, callback)` · `collect(pid)` · `lock_new(path)` · `is_locked(path)` · `raise_file_limit()` ·
`why_unsupported` · `OwnTty` · `manager_socket(environ)` · `start_scope(path, name, pids, properties)` ·
`stop_unit(path, name)` · `unit_of(pid)` · `cgroup_limits(pid)` · `usable_cpus()` · `fork_is_safe` ·
`hand_over(line, data, fds)` · `dial(line, address)` · `Calling` · `start_detached(argv, env, …)` ·
`number_of(fd)` · `has_job_objects` · `remove_tree(path)` · `resolved(argv, env)` · `script_kind` ·
`sharing` · `address_limit` · `resident_bytes(pid)` · `proportional_bytes(pid)` · `keeper_modules` ·
`session_variables()` · `where_desktop` · `terminals` · `Group(argv, env, cwd)` ·
`find_program(name, path)` · `program_folders` · `start_server(argv, …)` · `start_again(argv)` ·
`stored_environment()` · `read_pipe(fd, take)` · `on_told_to_end(tell)` · `listen(handlers)` ·
`take_console()` · `drop_typed()` · `name_window(title)` · `service_manager`
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
    from spawners._os.usage import cgroup_limits, fork_is_safe, unit_of

if sys.platform == "darwin":
    from spawners._os.darwin import keeper_modules, session_variables
else:
    from spawners._os.facts import keeper_modules, session_variables

if sys.platform == "linux":
    from spawners._os.linux import (
        boot_id,
        fork_is_safe,
        has_mark,
        on_exit,
        process,
        processes,
        script_kind,
        send_signal,
    )
    from spawners._os.posix import (
        Calling,
        address_limit,
        collect,
        dial,
        hand_over,
        has_job_objects,
        is_locked,
        lock_new,
        number_of,
        raise_file_limit,
        remove_tree,
        resolved,
        sharing,
        start_detached,
        why_unsupported,
    )
elif sys.platform == "darwin":
    from spawners._os.darwin import (
        boot_id,
        has_mark,
        on_exit,
        process,
        processes,
        script_kind,
        send_signal,
    )
    from spawners._os.posix import (
        Calling,
        address_limit,
        collect,
        dial,
        hand_over,
        has_job_objects,
        is_locked,
        lock_new,
        number_of,
        raise_file_limit,
        remove_tree,
        resolved,
        sharing,
        start_detached,
        why_unsupported,
    )
    from spawners._os.usage import proportional_bytes, resident_bytes, usable_cpus
else:
    from spawners._os.loopback import Calling, dial
    from spawners._os.windows import (
        address_limit,
        boot_id,
        drop_typed,
        hand_over,
        has_job_objects,
        is_locked,
        lock_new,
        number_of,
        raise_file_limit,
        remove_tree,
        resolved,
        script_kind,
        sharing,
        start_detached,
        usable_cpus,
        why_unsupported,
    )
    from spawners._os.windows_processes import (
        collect,
        has_mark,
        on_exit,
        process,
        processes,
        proportional_bytes,
        resident_bytes,
        send_signal,
    )

if sys.platform == "win32":
    from spawners._os.own_console import OwnTty, name_window, take_console
    from spawners._os.programs_windows import (
        Group,
        find_program,
        listen,
        on_told_to_end,
        program_folders,
        read_pipe,
        start_again,
        start_server,
        stored_environment,
    )
else:
    from spawners._os.own_tty import OwnTty, drop_typed, name_window, take_console
    from spawners._os.programs_posix import (
        Group,
        find_program,
        listen,
        on_told_to_end,
        program_folders,
        read_pipe,
        start_again,
        start_server,
        stored_environment,
    )

where_desktop, terminals = "spawners._os.logon", "spawners.terminals.windows"
"""The modules that find the desktop and know the terminals of this system, loaded when one is opened."""
service_manager = "logon"
"""What starts a user's services: systemd, launchd, or (at logon) nobody who looks after them."""
if sys.platform == "linux":
    where_desktop, terminals = "spawners._os.desktop", "spawners.terminals.linux"
    service_manager = "systemd"
elif sys.platform == "darwin":
    where_desktop, terminals = "spawners._os.aqua", "spawners.terminals.macos"
    service_manager = "launchd"

__all__ = [
    "Calling",
    "Group",
    "ManagerError",
    "OwnTty",
    "Process",
    "address_limit",
    "boot_id",
    "cgroup_limits",
    "collect",
    "dial",
    "drop_typed",
    "find_program",
    "fork_is_safe",
    "hand_over",
    "has_job_objects",
    "has_mark",
    "is_locked",
    "keeper_modules",
    "listen",
    "lock_new",
    "manager_socket",
    "name_window",
    "number_of",
    "on_exit",
    "on_told_to_end",
    "process",
    "processes",
    "program_folders",
    "proportional_bytes",
    "raise_file_limit",
    "read_pipe",
    "remove_tree",
    "resident_bytes",
    "resolved",
    "script_kind",
    "send_signal",
    "service_manager",
    "session_variables",
    "sharing",
    "start_again",
    "start_detached",
    "start_scope",
    "start_server",
    "stop_unit",
    "stored_environment",
    "take_console",
    "terminals",
    "unit_of",
    "usable_cpus",
    "where_desktop",
    "why_unsupported",
]
