"""A screen to look at without a terminal: as a web page of its own, or as text with colours."""

from __future__ import annotations

from html import escape

from spawners.screen.base import Cell, Color, Screen, Style
from spawners.screen.paint import row_bytes
from spawners.screen.palette import PALETTE

__all__ = ["ansi", "html"]

FOREGROUND, BACKGROUND = "#d0d0d0", "#000000"
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ background: {background}; color: {foreground}; }}
pre {{ font-family: monospace; line-height: 1.2; }}
.w {{ display: inline-block; width: 2ch; }}
</style></head><body><pre>
{rows}
</pre></body></html>
"""
"""Only styles: the policy lets a browser neither run nor load anything, whatever were to slip through."""


def _hex(color: Color, default: str) -> str:
    if color is None:
        return default
    red, green, blue = PALETTE[color] if isinstance(color, int) else color
    return f"#{red:02x}{green:02x}{blue:02x}"


def _css(style: Style) -> str:
    foreground, background = _hex(style.foreground, FOREGROUND), _hex(style.background, BACKGROUND)
    if style.inverse:
        foreground, background = background, foreground
    lines = " underline" * bool(style.underline) + " line-through" * style.strikethrough
    kinds = ("", "", "double", "wavy", "dotted", "dashed")
    rules = (
        ("color", foreground if foreground != FOREGROUND else ""),
        ("background", background if background != BACKGROUND else ""),
        ("font-weight", "bold" if style.bold else ""),
        ("font-style", "italic" if style.italic else ""),
        ("opacity", "0.6" if style.faint else ""),
        ("visibility", "hidden" if style.invisible else ""),
        ("text-decoration", f"{lines.strip()} {kinds[style.underline]}".strip() if lines else ""),
    )
    return ";".join(f"{name}:{value}" for name, value in rules if value)


def _row(row: list[Cell]) -> str:
    out: list[str] = []
    css = ""
    for cell in row:
        now = _css(cell.style)
        if now != css:
            out.append("</span>" * bool(css) + (f'<span style="{now}">' if now else ""))
            css = now
        text = escape(cell.text)
        out.append(f'<span class="w">{text}</span>' if cell.wide else text)
    return ("".join(out) + "</span>" * bool(css)).rstrip(" ")


def html(screen: Screen) -> str:
    """A complete page; nothing that the program printed can become markup in it."""
    rows = "\n".join(map(_row, screen.cells()))
    title = escape(screen.title or "terminal")
    return PAGE.format(title=title, rows=rows, foreground=FOREGROUND, background=BACKGROUND)


def ansi(screen: Screen) -> str:
    """The rows with their colours, for a terminal or a file; blank ones at the end are left out."""
    rows = [row_bytes(row, align=False).decode() for row in screen.cells()]
    while rows and not rows[-1]:
        rows.pop()
    return "".join(row + "\n" for row in rows)
