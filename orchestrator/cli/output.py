"""How answers are printed: JSON as on the wire, or tables of 80 columns."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from orchestrator.cli.words import plain
from relay.wire.base import encode

__all__ = ["Column", "facts", "print_json", "say", "table"]

WIDTH = 80
"""Of output that goes to no terminal, and the least that is used on one."""
LEAST = 8
"""Columns that are cut keep at least this much."""
GAP = "  "
"""Between two columns: rich pads one cell and draws one for the line that this box does not have."""


@dataclass(frozen=True, slots=True)
class Column:
    """`whole` columns are never cut; the others share the room that is left."""

    title: str
    whole: bool = True
    right: bool = False


def say(message: str) -> None:
    """Tell the user something that is not the answer."""
    print(f"muster: {plain(message)}", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print a wire value, or a list of them, as indented JSON."""
    sys.stdout.write(msgspec.json.format(encode(value), indent=2).decode() + "\n")
    sys.stdout.flush()


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print `rows` under `columns`; what does not fit is cut with an ellipsis.

    The `whole` columns are shown whole even where that makes a line longer than the terminal.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[plain(cell) for cell in row] for row in rows]
    natural = [
        max([len(column.title), *(cell_len(row[index]) for row in cells)])
        for index, column in enumerate(columns)
    ]
    console = Console(highlight=False)
    room = max(WIDTH, console.width) if console.is_terminal else WIDTH
    widths = _shared(columns, natural, room - len(GAP) * (len(columns) - 1))
    needed = sum(widths) + len(GAP) * (len(columns) - 1)
    colour = {} if console.is_terminal else {"color_system": None}
    console = Console(highlight=False, width=needed, **colour)  # type: ignore[arg-type]
    grid = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    for column, width in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "right" if column.right else "left"
        grid.add_column(column.title, no_wrap=True, overflow="ellipsis", justify=justify, width=width)
    for row in cells:
        grid.add_row(*(Text(cell) for cell in row))
    console.print(grid)


def _shared(columns: Sequence[Column], natural: Sequence[int], room: int) -> list[int]:
    """Return the width of each column: the whole ones as they are, the rest of `room` for the others."""
    left = room - sum(width for column, width in zip(columns, natural, strict=True) if column.whole)
    widths = list(natural)
    others = sorted(
        (index for index, column in enumerate(columns) if not column.whole), key=natural.__getitem__
    )
    for position, index in enumerate(others):
        fair = max(LEAST, left // (len(others) - position))
        widths[index] = min(natural[index], fair)
        left -= widths[index]
    return widths


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values below each other, values wrapped to the width."""
    import shutil
    import textwrap

    shown = [(name, value) for name, value in pairs if value]
    indent = max((len(name) for name, _ in shown), default=0) + 2
    columns = max(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns) if sys.stdout.isatty() else WIDTH
    for name, value in shown:
        lines = [
            part
            for line in value.splitlines()
            for part in textwrap.wrap(plain(line), columns - indent, break_on_hyphens=False) or [""]
        ]
        print(f"{name:<{indent}}" + ("\n" + " " * indent).join(lines))
