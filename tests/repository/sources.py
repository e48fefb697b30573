"""The repository as data: its files, and its Python parsed."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

__all__ = ["PACKAGES", "ROOT", "Function", "Source", "files", "sources", "text_files"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("orchestrator", "relay", "spawners")
Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Function:
    """One function: `lines` from `def` to its end without decorators and docstring."""

    name: str
    line: int
    lines: int
    positional: int
    """Parameters that may be given by position, `self` and `cls` excluded."""
    parameters: int


@dataclass(frozen=True)
class Source:
    """A Python file; `path` is relative to the root, with slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def length(self) -> int:
        return self.text.count("\n")

    @cached_property
    def definitions(self) -> list[Definition]:
        return [node for node in ast.walk(self.tree) if isinstance(node, Definition)]

    @cached_property
    def functions(self) -> list[Function]:
        return [_measured(node) for node in self.definitions]

    def imports(self) -> Iterator[tuple[str, int]]:
        """Yield every absolute module name that is imported anywhere, and its line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module, node.lineno
                yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _measured(node: Definition) -> Function:
    assert node.end_lineno is not None
    first = node.body[0]
    docstring = 0
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and first.end_lineno:
        docstring = first.end_lineno - first.lineno + 1
    arguments = node.args
    positional = [argument.arg for argument in [*arguments.posonlyargs, *arguments.args]]
    counted = [name for index, name in enumerate(positional) if index or name not in ("self", "cls")]
    return Function(
        node.name,
        node.lineno,
        node.end_lineno - node.lineno + 1 - docstring,
        len(counted),
        len(counted) + len(arguments.kwonlyargs),
    )


@cache
def files() -> tuple[str, ...]:
    """Every file that git tracks or would add. Raises `CalledProcessError` outside a clone."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    command += ["--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return tuple(sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file()))


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """The Python files below these top-level folders."""
    names = [name for name in files() if name.endswith(".py") and name.partition("/")[0] in folders]
    return tuple(Source(name, (ROOT / name).read_text(encoding="utf-8")) for name in names)


@cache
def text_files() -> tuple[Source, ...]:
    """Every file that is text, whatever its language."""
    found = []
    for name in files():
        data = (ROOT / name).read_bytes()
        if b"\0" not in data:
            found.append(Source(name, data.decode("utf-8")))
    return tuple(found)
