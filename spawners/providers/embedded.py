"""What the CLIs have in common in a terminal: their own interface opens, with or without a first prompt."""

from __future__ import annotations

from spawners.providers.base import Ask, ProviderError
from spawners.providers.headless import check_prompt

__all__ = ["MODES", "check_no_stdin", "first_prompt"]

MODES = ("headless", "embedded")

MAX_ARGUMENT = 100 * 1024
"""Bytes of a prompt in argv. Linux takes at most 128 KiB in one argument (`MAX_ARG_STRLEN`)."""


def first_prompt(name: str, ask: Ask) -> str | None:
    """The prompt to give as an argument; None opens the interface without one.

    Raises `ProviderError`: argv or stdin given, a prompt that is too long for an argument, or what
    `check_prompt` refuses.
    """
    if ask.argv is not None:
        raise ProviderError("invalid", f"{name} takes a prompt, not argv; use the provider command for argv")
    check_no_stdin(ask)
    if ask.prompt is None:
        return None
    if len(check_prompt(name, ask.prompt)) > MAX_ARGUMENT:
        raise ProviderError(
            "unsupported",
            f"a first prompt in a terminal has at most {MAX_ARGUMENT} bytes: "
            f"spawn {name} without one and send it after the start",
        )
    return ask.prompt


def check_no_stdin(ask: Ask) -> None:
    """Raise `ProviderError` if something else than the terminal was asked for as stdin."""
    if ask.stdin is not None or ask.stdin_live:
        raise ProviderError(
            "invalid", "in a terminal stdin is the terminal: leave stdin out, and send what is to be typed"
        )
