"""Cells out of libghostty-vt: whole rows at a time, and each kind of cell decoded only once."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyghostty import ffi, lib

from spawners.screen.base import Cell, Color, Style
from spawners.screen.ghostty_types import new, new_bytes, size_of

__all__ = ["CellReader"]

KNOWN_CELLS = 65536
"""Bound of the decoded cells remembered per screen; beyond it they are decoded anew."""

BLANK = Cell()
STYLE_SIZE = size_of("GhosttyStyle")
SHAPES = {
    lib.GHOSTTY_RENDER_STATE_CURSOR_VISUAL_STYLE_BLOCK: 1,
    lib.GHOSTTY_RENDER_STATE_CURSOR_VISUAL_STYLE_UNDERLINE: 3,
    lib.GHOSTTY_RENDER_STATE_CURSOR_VISUAL_STYLE_BAR: 5,
}
FLAGS = ("bold", "faint", "italic", "blink", "inverse", "invisible", "strikethrough")


def _color(value: Any) -> Color:
    if value.tag == lib.GHOSTTY_STYLE_COLOR_PALETTE:
        return int(value.value.palette)
    if value.tag == lib.GHOSTTY_STYLE_COLOR_RGB:
        return (value.value.rgb.r, value.value.rgb.g, value.value.rgb.b)
    return None


def _style(raw: Any) -> Style:
    return Style(
        foreground=_color(raw.fg_color),
        background=_color(raw.bg_color),
        underline=raw.underline,
        **{flag: bool(getattr(raw, flag)) for flag in FLAGS},
    )


class _Kind(NamedTuple):
    """What a cell's bits say where they do not say all of it."""

    text: str
    wide: bool
    style: int
    cluster: bool


class CellReader:
    """Reads the active screen of one terminal. The library's objects live until `close`.

    A cell is 64 bits wide and equal bits are equal cells, but for what is kept elsewhere: a text of
    several code points, and the style that its number stands for.
    """

    def __init__(self, terminal: Any) -> None:
        self._terminal = terminal
        self._state = new("GhosttyRenderState")
        self._rows = new("GhosttyRenderStateRowIterator")
        self._cells = new("GhosttyRenderStateRowCells")
        for made in (
            lib.ghostty_render_state_new(ffi.NULL, self._state),
            lib.ghostty_render_state_row_iterator_new(ffi.NULL, self._rows),
            lib.ghostty_render_state_row_cells_new(ffi.NULL, self._cells),
        ):
            if made:
                raise MemoryError("the terminal emulator could not be given memory")
        self._view = new("GhosttyCellsView")
        self._raw_style = new("GhosttyStyle")
        self._raw_style.size = STYLE_SIZE
        self._text = new_bytes(512)
        self._buffer = new("GhosttyBuffer", {"ptr": self._text, "cap": 512})
        self._out = {
            name: new(kind)
            for name, kind in {
                "CODEPOINT": "uint32_t",
                "CONTENT_TAG": "GhosttyCellContentTag",
                "WIDE": "GhosttyCellWide",
                "STYLE_ID": "GhosttyStyleId",
                "COLOR_PALETTE": "GhosttyColorPaletteIndex",
                "COLOR_RGB": "GhosttyColorRgb",
            }.items()
        }
        self._keys = {name: getattr(lib, "GHOSTTY_CELL_DATA_" + name) for name in self._out}
        self._dirty = new("GhosttyRenderStateDirty")
        self._changed = new("uint16_t")
        self._last: list[list[Cell]] = []
        self._wide_blanks = False
        self._known: dict[int, Cell | _Kind] = {}
        self._styles: dict[bytes, Style] = {}
        self._styled: dict[tuple[int, int], Cell] = {}

    def close(self) -> None:
        lib.ghostty_render_state_row_cells_free(self._cells[0])
        lib.ghostty_render_state_row_iterator_free(self._rows[0])
        lib.ghostty_render_state_free(self._state[0])

    def cursor_shape(self) -> int:
        """As `Cursor.shape`; the hollow block, which no program can ask for, is made the default one."""
        lib.ghostty_render_state_update(self._state[0], self._terminal)
        style = new("GhosttyRenderStateCursorVisualStyle")
        blinks = new("bool")
        get = lib.ghostty_render_state_get
        get(self._state[0], lib.GHOSTTY_RENDER_STATE_DATA_CURSOR_VISUAL_STYLE, style)
        get(self._state[0], lib.GHOSTTY_RENDER_STATE_DATA_CURSOR_BLINKING, blinks)
        first = SHAPES.get(style[0])
        return 0 if first is None else first + (not blinks[0])

    def read(self) -> list[list[Cell]]:
        """The rows; those that did not change are the same objects as the last time."""
        state, get = self._state[0], lib.ghostty_render_state_get
        lib.ghostty_render_state_update(state, self._terminal)
        get(state, lib.GHOSTTY_RENDER_STATE_DATA_DIRTY, self._dirty)
        if self._dirty[0] == lib.GHOSTTY_RENDER_STATE_DIRTY_FALSE and self._last:
            return list(self._last)
        if len(self._known) > KNOWN_CELLS or len(self._styles) > KNOWN_CELLS:
            self._forget()
        get(state, lib.GHOSTTY_RENDER_STATE_DATA_ROW_ITERATOR, self._rows)
        if self._dirty[0] == lib.GHOSTTY_RENDER_STATE_DIRTY_PARTIAL and self._last:
            while lib.ghostty_render_state_row_iterator_next_dirty(self._rows[0], self._changed):
                self._last[self._changed[0]] = self._row()
        else:
            self._last = []
            while lib.ghostty_render_state_row_iterator_next(self._rows[0]):
                self._last.append(self._row())
        lib.ghostty_render_state_clean(state)
        return list(self._last)

    def _forget(self) -> None:
        self._known.clear()
        self._styles.clear()
        self._styled.clear()

    def _row(self) -> list[Cell]:
        row, get = self._rows[0], lib.ghostty_render_state_row_get
        get(row, lib.GHOSTTY_RENDER_STATE_ROW_DATA_CELLS_RAW, self._view)
        view = self._view[0]
        raw = memoryview(ffi.buffer(view.ptr, 8 * view.len)).cast("Q").tolist()
        known = self._known
        found = [known.get(value) for value in raw]
        if all(type(kind) is Cell for kind in found):
            return self._whole(found)  # type: ignore[arg-type] # as was just seen
        get(row, lib.GHOSTTY_RENDER_STATE_ROW_DATA_CELLS, self._cells)
        styles: dict[int, Style] = {}
        cells = []
        for column, (value, kind) in enumerate(zip(raw, found, strict=True)):
            one = kind or self._decode(value)
            cells.append(one if isinstance(one, Cell) else self._complete(value, one, column, styles))
        return self._whole(cells)

    def _whole(self, row: list[Cell]) -> list[Cell]:
        """The row without wide cells that are none: half of one in the last column, as a resize can
        leave it, or a blank with a mark that widens it."""
        if row[-1].wide:
            row[-1] = Cell(row[-1].text, row[-1].style)
        if self._wide_blanks:
            for column, cell in enumerate(row):
                if cell.wide and cell.text == " ":
                    row[column : column + 2] = [Cell(style=cell.style), Cell(style=row[column + 1].style)]
        return row

    def _complete(self, value: int, kind: _Kind, column: int, styles: dict[int, Style]) -> Cell:
        """The cell in this column of the present row, whose `styles` have these numbers.

        The same number is another style on another page of the library's memory.
        """
        style = styles.get(kind.style) if kind.style else BLANK.style
        if style is None:
            style = styles[kind.style] = self._style_at(column)
        if kind.cluster:
            return Cell(self._cluster_at(column), style, kind.wide)
        cell = self._styled.get((value, id(style)))
        if cell is None:
            cell = self._styled[value, id(style)] = Cell(kind.text, style, kind.wide)
        return cell

    def _decode(self, value: int) -> Cell | _Kind:
        """What these bits say; remembered."""
        tag = self._get(value, "CONTENT_TAG")
        width = self._get(value, "WIDE")
        wide = width == lib.GHOSTTY_CELL_WIDE_WIDE
        background = self._background(value, tag)
        code = 0 if background else self._get(value, "CODEPOINT")
        # A blank with marks is a blank, as the library's own formatter has it.
        cluster = tag == lib.GHOSTTY_CELL_CONTENT_CODEPOINT_GRAPHEME and code not in (0, 0x20)
        style = self._get(value, "STYLE_ID")
        kind: Cell | _Kind
        if background:
            kind = Cell(" ", background)
        else:
            visible = code > 0x20 and not 0x7F <= code <= 0x9F
            self._wide_blanks |= wide and not visible
            text = "" if width == lib.GHOSTTY_CELL_WIDE_SPACER_TAIL else chr(code) if visible else " "
            kind = _Kind(text, wide, style, cluster) if style or cluster else Cell(text, BLANK.style, wide)
        self._known[value] = kind
        return kind

    def _get(self, value: int, name: str) -> Any:
        out = self._out[name]
        lib.ghostty_cell_get(value, self._keys[name], out)
        return out[0]

    def _background(self, value: int, tag: int) -> Style | None:
        """The style of a cell that is nothing but a background colour."""
        if tag == lib.GHOSTTY_CELL_CONTENT_BG_COLOR_PALETTE:
            return Style(background=self._get(value, "COLOR_PALETTE"))
        if tag == lib.GHOSTTY_CELL_CONTENT_BG_COLOR_RGB:
            rgb = self._get(value, "COLOR_RGB")
            return Style(background=(rgb.r, rgb.g, rgb.b))
        return None

    def _at(self, column: int, what: int, out: Any) -> bool:
        lib.ghostty_render_state_row_cells_select(self._cells[0], column)
        return not lib.ghostty_render_state_row_cells_get(self._cells[0], what, out)

    def _style_at(self, column: int) -> Style:
        if not self._at(column, lib.GHOSTTY_RENDER_STATE_ROW_CELLS_DATA_STYLE, self._raw_style):
            return BLANK.style
        key = ffi.buffer(self._raw_style, STYLE_SIZE)[:]
        style = self._styles.get(key)
        if style is None:
            style = self._styles[key] = _style(self._raw_style)
        return style

    def _cluster_at(self, column: int) -> str:
        if not self._at(column, lib.GHOSTTY_RENDER_STATE_ROW_CELLS_DATA_GRAPHEMES_UTF8, self._buffer):
            return "\N{REPLACEMENT CHARACTER}"
        return bytes(ffi.buffer(self._text, self._buffer.len)).decode("utf-8", "replace")
