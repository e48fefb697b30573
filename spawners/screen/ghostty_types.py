"""The C types that are used of libghostty-vt, looked up once and all together.

cffi reads the names of the whole library again for each type that it is asked for by a string: 6 ms, and a
screen needs forty.
"""

from __future__ import annotations

from typing import Any

from pyghostty import ffi

__all__ = ["POINTERS", "new", "new_bytes", "size_of"]

_FUNCTIONS = """
    void (*write_pty)(GhosttyTerminal, void*, const uint8_t*, size_t);
    bool (*report_size)(GhosttyTerminal, void*, GhosttySizeReportSize*);
    bool (*color_scheme)(GhosttyTerminal, void*, GhosttyColorScheme*);
    GhosttyString (*version)(GhosttyTerminal, void*);
    GhosttyResult (*track)(GhosttyTerminal, GhosttyPointS, GhosttyTrackedGridRef*);
    GhosttyResult (*track_set)(GhosttyTrackedGridRef, GhosttyTerminal, GhosttyPointS);
    GhosttyResult (*grid_ref)(GhosttyTerminal, GhosttyPointS, GhosttyGridRef*);
"""
_VALUES = """
    void bool uint8_t uint16_t uint32_t uint64_t size_t MusterBytes GhosttyBuffer GhosttyCellContentTag
    GhosttyCellWide GhosttyCellsView GhosttyColorPaletteIndex GhosttyColorRgb GhosttyFormatter
    GhosttyFormatterTerminalOptions GhosttyGridRef GhosttyPointCoordinate GhosttyPointS GhosttyRenderState
    GhosttyRenderStateCursorVisualStyle GhosttyRenderStateDirty GhosttyRenderStateRowCells
    GhosttyRenderStateRowIterator GhosttySelection GhosttyString GhosttyStyle GhosttyStyleId
    GhosttyTerminal GhosttyTerminalCursorStyle GhosttyTerminalModeConfig GhosttyTerminalScreen
    GhosttyTerminalSelectionFormatOptions GhosttyTrackedGridRef
"""


def _pointers() -> dict[str, Any]:
    fields = "".join(f"{name}* to_{name};" for name in _VALUES.split())
    ffi.cdef(f"typedef uint8_t MusterBytes[]; typedef struct {{ {_FUNCTIONS} {fields} }} MusterTypes;")
    return {name.removeprefix("to_"): field.type for name, field in ffi.typeof("MusterTypes").fields}


POINTERS = _pointers()
"""By name: the pointer to each value, and to each function."""


def new(name: str, value: Any = None) -> Any:
    """A pointer to a new value of that type, as `ffi.new` makes it."""
    return ffi.new(POINTERS[name], value)


def new_bytes(content: bytes | int) -> Any:
    """A new array of bytes: these and a zero, or that many."""
    return ffi.new(POINTERS["MusterBytes"].item, content)


def size_of(name: str) -> int:
    return int(ffi.sizeof(POINTERS[name].item))
