"""The rules for one Python file. Each returns its complaints, as `path:line: what`, none when it is kept."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator

from sources import Source

__all__ = [
    "RULES",
    "broad_excepts",
    "c_modules_only",
    "error_codes_from_the_set",
    "few_parameters",
    "forks_in_the_keeper_only",
    "imports_at_the_top",
    "no_mocks",
    "paths_in_the_table_only",
    "platform_in_its_place",
    "short_file",
]

KEEPER = "spawners/keeper/"
HOOK = "spawners/hook/"
TABLE = "relay/wire/endpoints.py"
LONG_FILES = {TABLE}
"""The table of calls grows by one entry a call."""
MAX_LINES = 300
MAX_PARAMETERS = 6
MAX_WIRING = 8
"""Of a constructor that takes them by keyword only: what the composition root hands in."""
CLI = "orchestrator/cli/"
NOT_EVERYWHERE = frozenset({"asyncpg", "resource", "uvloop", "alembic"})
"""Imported where they are used: an extra, what some systems lack, and 0.25 s that only an upgrade needs."""


def short_file(source: Source) -> Iterator[str]:
    if source.length > MAX_LINES and source.path not in LONG_FILES:
        yield f"{source.path}:1: {source.length} lines, at most {MAX_LINES}; split it by noun"


def few_parameters(source: Source) -> Iterator[str]:
    """A command's parameters are its options, so those of the CLI may have more."""
    for function in source.functions:
        limit = MAX_WIRING if function.name == "__init__" and not function.positional else MAX_PARAMETERS
        if function.parameters > limit and not source.path.startswith(CLI):
            yield (
                f"{source.path}:{function.line}: {function.name} takes {function.parameters} parameters, "
                f"at most {limit} ({MAX_WIRING} in a constructor that takes them by keyword only)"
            )


def no_mocks(source: Source) -> Iterator[str]:
    for name, line in source.imports():
        if name in ("mock", "unittest.mock") or name.startswith("unittest.mock."):
            yield f"{source.path}:{line}: imports {name}; fake the far end with a real program or server"


def broad_excepts(source: Source) -> Iterator[str]:
    """Not a rule by itself: the caller counts them."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node):
            yield f"{source.path}:{node.lineno}: broad except"


def _is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether it swallows everything; cleaning up and raising again is none."""
    again = any(isinstance(node, ast.Raise) and node.exc is None for node in handler.body)
    caught = handler.type
    names = [caught] if caught is None or not isinstance(caught, ast.Tuple) else list(caught.elts)
    broad = any(
        name is None or (isinstance(name, ast.Name) and name.id in ("Exception", "BaseException"))
        for name in names
    )
    return broad and not again


def imports_at_the_top(source: Source) -> Iterator[str]:
    """The keeper and the hook program start too often to import at once what they hardly ever need."""
    if source.path.startswith((CLI, KEEPER, HOOK)):
        return
    for function in source.definitions:
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom) and not _roots(node) <= NOT_EVERYWHERE:
                yield f"{source.path}:{node.lineno}: import inside {function.name}; move it to the top"


def _roots(node: ast.Import | ast.ImportFrom) -> set[str]:
    names = [node.module or "."] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
    return {name.partition(".")[0] for name in names}


def platform_in_its_place(source: Source) -> Iterator[str]:
    """Systems are told apart in `spawners/_os/` and in the keeper, which may import none of it."""
    if source.path.startswith("spawners/_os/"):
        if (
            re.search(r"/(linux|darwin|windows|posix)\.py$", source.path)
            and "assert sys.platform" not in (source.text[:120])
        ):
            yield f"{source.path}:1: must begin with an assertion on sys.platform"
        return
    if source.path.startswith(KEEPER):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in ("sys.platform", "os.name"):
                yield f"{source.path}:{node.lineno}: {name}; only spawners/_os/ tells systems apart"


def forks_in_the_keeper_only(source: Source) -> Iterator[str]:
    """A daemon of some size stalls while it forks."""
    if source.path.startswith(KEEPER):
        return
    for node in ast.walk(source.tree):
        forks = isinstance(node, ast.Attribute) and node.attr in ("fork", "forkpty", "fork_exec")
        hooks = isinstance(node, ast.keyword) and node.arg == "preexec_fn"
        if forks or hooks:
            yield f"{source.path}:{getattr(node, 'lineno', 1)}: forks; only the keeper may"


def c_modules_only(source: Source) -> Iterator[str]:
    """What the keeper imports at its start: each module written in Python costs every agent memory."""
    for node in source.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            for name in names:
                if not name or not (name.startswith("spawners.keeper.") or _is_written_in_c(name)):
                    yield f"{source.path}:{node.lineno}: {name} is not a module written in C"


def _is_written_in_c(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and (spec.origin in ("built-in", None) or spec.origin.endswith((".so", ".pyd")))


def paths_in_the_table_only(source: Source) -> Iterator[str]:
    if source.path == TABLE:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/api/"):
            yield f"{source.path}:{node.lineno}: {node.value!r} belongs into {TABLE} alone"


def error_codes_from_the_set(source: Source) -> Iterator[str]:
    """A code spelled as text would be one that no client knows."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            first = node.args[0]
            if node.func.id == "ApiError" and isinstance(first, ast.Constant | ast.JoinedStr):
                yield f"{source.path}:{node.lineno}: the code of an ApiError must be a member of Code"


RULES = (
    short_file,
    few_parameters,
    no_mocks,
    imports_at_the_top,
    platform_in_its_place,
    forks_in_the_keeper_only,
    paths_in_the_table_only,
    error_codes_from_the_set,
)
"""What every file of the packages must keep."""
