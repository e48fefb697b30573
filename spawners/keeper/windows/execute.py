# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""Finding the program, and starting it inside of its job from its first instruction on."""

import ctypes
import errno
import msvcrt
import os
import subprocess
from ctypes import wintypes

from spawners.keeper.windows import api

MYPY = False
if MYPY:
    from typing import Any

    Place = tuple[str, int, list[int], "int | None"]  # directory, job, files, pseudo console

MOST_CHARACTERS = 32767  # of a command line in UTF-16, with its end (CreateProcess)
DANGEROUS = '"%!^&|<>\r\n'  # to the one who parses the command line of a batch file, cmd.exe
BATCH = (".bat", ".cmd")
EXTENSIONS = ".COM;.EXE;.BAT;.CMD"
UNICODE_ENVIRONMENT, EXTENDED, NEW_GROUP = 0x400, 0x80000, 0x200
HANDLES, CONSOLE, JOBS = 0x20002, 0x20016, 0x2000D  # PROC_THREAD_ATTRIBUTE_…
USE_HANDLES = 0x100


class NotStarted(Exception):
    """The program could not be executed: (errno, message, directories searched)."""


def lookup(env: "dict[str, str]", name: str, default: str) -> str:
    """A variable; their names have no case here."""
    return next((value for key, value in env.items() if key.upper() == name), default)


def is_batch(path: str) -> bool:
    """Whether cmd.exe would run it; dots and spaces at the end do not count for Windows, nor a stream."""
    name = path.replace("/", "\\").rpartition("\\")[2].partition(":")[0]
    return name.rstrip(". ").lower().endswith(BATCH)


def find(name: str, env: "dict[str, str]", cwd: str) -> "tuple[str, list[str]]":
    """The file of the program and where it was searched. Raises NotStarted."""
    extensions = [one for one in lookup(env, "PATHEXT", EXTENSIONS).split(";") if one]
    if any(name.lower().endswith(one.lower()) for one in extensions) or name.endswith("."):
        extensions = ["", *extensions]
    if "/" in name or "\\" in name or ":" in name:
        searched, folders = [], [""]
    else:
        system = lookup(env, "SYSTEMROOT", os.environ.get("SYSTEMROOT", "C:\\Windows"))
        path = lookup(env, "PATH", "%s\\System32;%s" % (system, system))
        searched = folders = [folder for folder in (part.strip('"') for part in path.split(";")) if folder]
    for folder in folders:
        base = os.path.join(cwd, folder, name.replace("/", "\\"))
        for extension in extensions:
            if os.path.isfile(base + extension):
                return os.path.abspath(base) + extension, searched
        if not searched and os.path.isfile(base):
            return os.path.abspath(base), searched  # CreateProcess says whether it is a program
    where = "and has no extension of PATHEXT that is there" if folders == [""] else "in any directory of PATH"
    raise NotStarted(errno.ENOENT, "%s was not found %s" % (name, where), list(searched))


def command_line(path: str, argv: "list[str]") -> str:
    """One text that a program takes apart into just these arguments. Raises NotStarted."""
    if any("\0" in word for word in argv):
        raise NotStarted(errno.EINVAL, "cannot execute %s: embedded null character" % path, [])
    bad = [word for word in (path, *argv[1:]) if any(sign in word for sign in DANGEROUS)]
    if is_batch(path) and bad:
        message = (
            "cannot execute %s: it is a batch file, and cmd.exe would carry out parts of the argument %r;"
            " name the program that it starts" % (path, bad[0])
        )
        raise NotStarted(errno.EINVAL, message, [])
    line = subprocess.list2cmdline([path, *argv[1:]])
    length = len(line.encode("utf-16-le", "surrogatepass")) // 2
    if length >= MOST_CHARACTERS:
        message = "cannot execute %s: a command line of %d characters is too long, %d are the most"
        hint = " (hand long texts over on stdin or in a file)"
        raise NotStarted(errno.E2BIG, message % (path, length, MOST_CHARACTERS - 1) + hint, [])
    return line


def environment_block(env: "dict[str, str]") -> str:
    """Sorted, as Windows wants it. SYSTEMROOT is never left out: no program can open a socket without."""
    if any("\0" in text or "=" in name[1:] for name, value in env.items() for text in (name, value)):
        raise NotStarted(errno.EINVAL, "a variable of the environment holds NUL, or '=' in its name", [])
    whole = dict(env)
    if not lookup(env, "SYSTEMROOT", ""):
        whole["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "C:\\Windows")
    rows = sorted(whole.items(), key=lambda item: item[0].upper())
    return "".join("%s=%s\0" % item for item in rows) + "\0"


class Attributes:
    """What is fixed before the process exists: its jobs, and its console or the handles that it gets."""

    def __init__(self, count: int) -> None:
        size = ctypes.c_size_t()
        api.init_attributes(None, count, 0, size)
        self.buffer = ctypes.create_string_buffer(size.value)
        if not api.init_attributes(self.buffer, count, 0, size):
            raise api.failure()
        self.kept: list[Any] = []

    def add(self, number: int, value: "Any", size: int) -> None:
        self.kept.append(value)
        if not api.update_attribute(self.buffer, 0, number, value, size, None, None):
            raise api.failure()


def create(spec: "dict[str, Any]", job: int, stdio: "list[int]", console: "int | None") -> "tuple[int, int]":
    """Start the program; returns its handle and its pid. It has `stdio` or the pseudo console. Raises
    NotStarted, with an errno as POSIX has it."""
    argv, env, cwd = spec["argv"], spec["env"], spec["cwd"]
    if not os.path.isdir(cwd):
        raise NotStarted(errno.ENOENT, "cannot use the directory %s: there is none" % cwd, [])
    path, searched = find(argv[0], env, cwd)
    try:
        return call(path, command_line(path, argv), environment_block(env), (cwd, job, stdio, console))
    except NotStarted as error:
        raise NotStarted(error.args[0], error.args[1], searched) from None
    except OSError as error:
        message = "cannot execute %s: %s" % (path, explain(error))
        raise NotStarted(error.errno, message, searched) from None


def call(path: str, line: str, block: str, place: "Place") -> "tuple[int, int]":
    cwd, job, stdio, console = place
    startup, made = api.STARTUPINFO(), api.PROCESS_INFORMATION()
    startup.cb = ctypes.sizeof(startup)
    attributes = Attributes(2)
    jobs = (wintypes.HANDLE * 1)(job)
    attributes.add(JOBS, jobs, ctypes.sizeof(jobs))
    flags = UNICODE_ENVIRONMENT | EXTENDED
    if console is not None:
        attributes.add(CONSOLE, ctypes.c_void_p(console), ctypes.sizeof(ctypes.c_void_p))
    else:
        startup.flags = USE_HANDLES
        flags |= NEW_GROUP  # so that CTRL_BREAK can be sent to it and not to us
        handles = [msvcrt.get_osfhandle(fd) for fd in stdio]
        for handle in handles:
            os.set_handle_inheritable(handle, True)
        startup.input, startup.output, startup.error = handles
        row = (wintypes.HANDLE * len(set(handles)))(*sorted(set(handles)))
        attributes.add(HANDLES, row, ctypes.sizeof(row))
    startup.attributes = ctypes.cast(attributes.buffer, ctypes.c_void_p)
    text = ctypes.create_unicode_buffer(line)
    environment = ctypes.create_unicode_buffer(block)
    try:
        done = api.create_process(
            path, text, None, None, console is None, flags, environment, cwd, ctypes.byref(startup), made
        )
        if not done:
            raise api.failure()
    finally:
        api.delete_attributes(attributes.buffer)
    api.close_handle(made.thread)
    return made.process, made.pid


def explain(error: OSError) -> str:
    text = (error.strerror or str(error)).rstrip(". \r\n")
    if error.winerror == 193:  # ERROR_BAD_EXE_FORMAT
        return text + " (Windows executes .exe and .com files; a script needs its interpreter before it)"
    if error.winerror == 740:  # ERROR_ELEVATION_REQUIRED
        return text + " (it wants to be run as administrator)"
    return text
