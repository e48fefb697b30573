"""What npm, pnpm and yarn install on Windows: a batch file that names the program. It is never run.

Arguments of a batch file are parsed by cmd.exe after Windows has put them into one line, and no way of
quoting keeps what is in them from being run as commands (`"&calc`; CVE-2024-24576 and its like). So the
program that the file names is executed instead of it, and a batch file that does nothing else than its author
wrote is given only arguments that cmd.exe has nothing to do with.

Text and files only, so all of this is tested on every system.
"""

from __future__ import annotations

import errno
import json
import ntpath
import os
import re
from collections.abc import Iterable, Sequence

__all__ = ["EXTENSIONS", "SPECIAL", "BatchRefused", "find", "is_batch", "resolve"]

EXTENSIONS = (".COM", ".EXE", ".BAT", ".CMD")
"""Of PATHEXT, what names something that can be executed, or resolved to that."""

SPECIAL = frozenset('"%!^&|<>\r\n')
"""Characters by which an argument could become a command, or change, in cmd.exe."""

MAX_SHIM = 64 * 1024
"""The longest there are have 2 KiB."""

_BATCH = (".bat", ".cmd")
_SCRIPT = ".ps1"
_HERE, _PROGRAM = "\x01", "\x02"
"""Stand for the shim's own folder, and for the interpreter it has chosen, while its text is read."""

_PLACES = (
    (re.compile(r"%~dp0%?|%dp0%|\$basedir(?=[/\\])", re.IGNORECASE), _HERE),
    (re.compile(r"%_prog%", re.IGNORECASE), _PROGRAM),
    (re.compile(r"\$exe(?=\")", re.IGNORECASE), ".exe"),
)
_SETS = re.compile(r"\bset\s+\"?(?P<name>\w+)=(?P<value>[^\"\r\n]*)", re.IGNORECASE)
_CHANGES_NOTHING = frozenset({"dp0", "_prog", "pathext", "node_path"})
"""What a shim may set: the first three are its own; the last one is a second place to look for modules, and a
program finds its own beside itself."""
_COMMAND = re.compile(r"(?:^|[@&(|])\s*(?P<words>(?:\"[^\"%\r\n]*\"|[^\"%&|<>^()\r\n])+?)\s*%\*\s*\)?\s*$")
_CALL = re.compile(r"&\s+(?P<words>(?:\"[^\"$\r\n]*\"|[^\"$&|<>()\r\n])+?)\s*\$args\s*$")
_AROUND = re.compile(
    r"\s*(?:@?\s*(?:echo\s+off|goto\s+\w+|:\w*|::.*|rem\b.*|set\s[^&|]*|exit\s+/b(?:\s+%errorlevel%)?|(?:set|end)local|call\s+:find_dp0"
    r"|if\s+(?:not\s+)?(?:exist|defined)\s[^&|]*\(|\)(?:\s*else\s*\()?|))\s*",
    re.IGNORECASE,
)
"""A line of a batch file that only finds out where it is and which node to take."""

_WORD = re.compile(r"\"([^\"]*)\"|(\S+)")
_INTERPRETERS = frozenset({"node", "bun", "deno", "python", "python3", "ruby", "perl", "sh", "bash"})
"""What shims are made for. cmd and PowerShell are none: they parse their arguments as commands."""
_SCRIPTS = (".js", ".mjs", ".cjs")
_NODE = re.compile(rb"#!.*\bnode\b")


class BatchRefused(OSError):
    """A batch file would have been run with an argument that cmd.exe could take for a command."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(errno.EINVAL, why, path)

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def is_batch(path: str) -> bool:
    """Whether Windows would hand `path` to cmd.exe; it drops dots and spaces at the end, and a stream."""
    return _plain(path).endswith(_BATCH)


def _plain(path: str) -> str:
    name = ntpath.basename(path.replace("/", "\\")).partition(":")[0]
    return name.rstrip(". ").lower()


def find(name: str, path: str, extensions: Iterable[str] = EXTENSIONS, *, separator: str = ";") -> str | None:
    """The absolute path of the program that `name` is, by the folders of `path`; None if there is none.

    Never the current folder, never a file without one of the extensions: beside `claude.cmd` lies the shell
    script `claude`, which Windows cannot execute. `name` with a folder in it is looked for there alone.
    """
    known = tuple(extension.lower() for extension in extensions)
    endings = ("",) if _plain(name).endswith((*known, _SCRIPT)) else known
    if any(mark in name for mark in ("/", "\\")) or ntpath.splitdrive(name)[0]:
        folders = [""]
    else:
        folders = [folder.strip('"') for folder in path.split(separator) if os.path.isabs(folder.strip('"'))]
    for folder in folders:
        for ending in endings:
            candidate = os.path.join(folder, name + ending) if folder else os.path.abspath(name + ending)
            if os.path.isfile(candidate):
                return candidate
    return None


def resolve(argv: Sequence[str], path: str | None = None, *, separator: str = os.pathsep) -> tuple[str, ...]:
    """`argv` with a program that Windows executes itself: an absolute path, and never a shim.

    `path` (default: our own PATH) is where a program without a folder is looked for, and the interpreter
    that a shim names. What is not found is returned as it is: executing it says why not. Raises
    `BatchRefused` for a batch file that is no shim if an argument holds one of `SPECIAL`.
    """
    folders = os.environ.get("PATH", "") if path is None else path
    program = find(argv[0], folders, separator=separator) or argv[0]
    rest = tuple(argv[1:])
    if not is_batch(program) and not _plain(program).endswith(_SCRIPT):
        return (program, *rest)
    named = _named(program, folders, separator)
    if named is not None:
        return (*named, *rest)
    if not is_batch(program):
        raise BatchRefused(
            program, "is a PowerShell script and no shim of npm's: name what it runs, or powershell.exe"
        )
    _check(program, rest)
    return (program, *rest)


def _check(program: str, arguments: Sequence[str]) -> None:
    for argument in (program, *arguments):
        found = sorted(SPECIAL.intersection(argument))
        if found:
            raise BatchRefused(
                program,
                f"is a batch file and no shim of npm's, and {found[0]!r} in an argument could become a "
                "command of cmd.exe: name the program that it runs",
            )


def _named(shim: str, path: str, separator: str) -> tuple[str, ...] | None:
    """The program that `shim` runs and its first arguments, or None: it is something else, or broken."""
    shim = shim.rstrip(". ")
    folder = os.path.dirname(os.path.abspath(shim))
    words = _words(shim, folder)
    if words is None:
        script = _by_package(folder, ntpath.splitext(os.path.basename(shim))[0])
        words = None if script is None else _run(script)
    if words is None:
        return None
    interpreter, *others = words
    if not os.path.isabs(interpreter):
        beside = os.path.join(folder, f"{interpreter}.exe")
        found = beside if os.path.isfile(beside) else find(interpreter, path, (".exe",), separator=separator)
        if found is None:
            raise FileNotFoundError(
                errno.ENOENT,
                f"{os.path.basename(shim)} needs {interpreter}, which is not on PATH",
                interpreter,
            )
        interpreter = found
    return (interpreter, *others)


def _words(shim: str, folder: str) -> list[str] | None:
    """What the text of `shim` runs, if that is one thing only."""
    text = _read(shim)
    if text is None or any(found["name"].lower() not in _CHANGES_NOTHING for found in _SETS.finditer(text)):
        return None
    chosen = {found["value"].strip() for found in _SETS.finditer(text) if found["name"].lower() == "_prog"}
    interpreters = [name for name in chosen if "%" not in name]
    for pattern, stand_in in _PLACES:
        text = pattern.sub(stand_in, text)
    script = _plain(shim).endswith(_SCRIPT)
    runs: set[tuple[str, ...] | None] = set()
    for line in text.splitlines():
        match = (_CALL if script else _COMMAND).search(line)
        if match is not None:
            runs.add(_said(match["words"], interpreters, folder))
        elif line.rstrip(" )").endswith(("%*", "$args")) or not (script or _AROUND.fullmatch(line)):
            return None
    found = runs.pop() if len(runs) == 1 else None
    return None if found is None else list(found)


def _said(text: str, interpreters: list[str], folder: str) -> tuple[str, ...] | None:
    """The words of one line as (interpreter, flags…, script) or (program, flags…); None if it is neither."""
    first, *rest = [quoted or bare for quoted, bare in _WORD.findall(text)] or [""]
    script = _there(rest[-1], folder) if rest else None
    if script is None:  # the first word is itself what is run
        target = _there(first, folder)
        return (target, *rest) if target and _plain(target).endswith((".exe", ".com")) else None
    if first == _PROGRAM:
        first = interpreters[0] if len(interpreters) == 1 else ""
    interpreter = _interpreter(first)
    return None if interpreter is None else (interpreter, *rest[:-1], script)


def _interpreter(word: str) -> str | None:
    """`node` of `node`, `node.exe` and the one in the shim's own folder."""
    name = word.removeprefix(_HERE).lstrip("/\\")
    plain = name.lower().removesuffix(".exe")
    return plain if plain in _INTERPRETERS else None


def _there(word: str, folder: str) -> str | None:
    """The file that a word names in full or from the shim's own folder; None if it is none."""
    if word.startswith(_HERE):
        target = os.path.normpath(os.path.join(folder, *re.split(r"[/\\]+", word[1:].lstrip("/\\"))))
    elif os.path.isabs(word):
        target = os.path.normpath(word)
    else:
        return None
    return target if os.path.isfile(target) else None


def _by_package(folder: str, name: str) -> str | None:
    """The file that a package installed beside the shim `name` gives as its `bin` of that name."""
    roots = [os.path.join(folder, "node_modules"), os.path.join(folder, "..")]
    if os.path.basename(folder) != ".bin":
        del roots[1]
    found = {
        target for root in roots for package in _packages(root) if (target := _bin(package, name)) is not None
    }
    return found.pop() if len(found) == 1 else None


def _packages(root: str) -> Iterable[str]:
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return
    for name in names:
        if name.startswith("@"):
            yield from _packages(os.path.join(root, name))
        elif not name.startswith("."):
            yield os.path.join(root, name)


def _bin(package: str, name: str) -> str | None:
    text = _read(os.path.join(package, "package.json"), 1 << 20)
    try:
        said = json.loads(text) if text is not None else None
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    given = said.get("bin")
    if isinstance(given, str):  # then the package's own name, without its scope, is the command's
        given = {str(said.get("name", "")).rpartition("/")[2]: given}
    target = given.get(name) if isinstance(given, dict) else None
    if not isinstance(target, str):
        return None
    path = os.path.normpath(os.path.join(package, *re.split(r"[/\\]+", target)))
    inside = path.startswith(os.path.join(os.path.normpath(package), ""))
    return path if inside and os.path.isfile(path) else None


def _run(script: str) -> list[str] | None:
    """What runs a package's file: itself, or node if its first line or its ending says so."""
    if _plain(script).endswith(".exe"):
        return [script]
    with open(script, "rb") as file:
        first = file.readline(256)
    return ["node", script] if _NODE.match(first) or _plain(script).endswith(_SCRIPTS) else None


def _read(path: str, limit: int = MAX_SHIM) -> str | None:
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError:
        return None
    return data.decode("utf-8-sig", "replace") if len(data) <= limit else None
