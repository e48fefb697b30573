"""What the CLIs have in common without a terminal: the checks on an ask, before any flag is chosen."""

from __future__ import annotations

from collections.abc import Mapping

from spawners.providers.base import Ask, ProviderError

__all__ = ["check_prompt", "defaults", "prompt_bytes", "required_executable", "value"]


def prompt_bytes(name: str, ask: Ask) -> bytes:
    """The prompt as the exact bytes for stdin.

    Empty for a conversation that begins with what is sent to it later. Raises `ProviderError`: another
    mode, argv or stdin given, no prompt, or what `check_prompt` refuses.
    """
    if ask.mode != "headless":
        raise ProviderError(
            "unsupported", f"{name} cannot run in mode {ask.mode} yet; use headless or embedded"
        )
    if ask.argv is not None:
        raise ProviderError("invalid", f"{name} takes a prompt, not argv; use the provider command for argv")
    if ask.stdin is not None or ask.stdin_live:
        raise ProviderError("invalid", f"{name} reads its prompt from stdin; leave stdin out")
    if ask.prompt is None and ask.conversation:
        return b""
    if ask.prompt is None:
        raise ProviderError("invalid", f"{name} needs a prompt that is not blank")
    return check_prompt(name, ask.prompt)


def check_prompt(name: str, prompt: str) -> bytes:
    """`prompt` in UTF-8.

    Raises `ProviderError` for a blank one (the CLIs refuse it), a NUL or a lone surrogate (which no
    CLI would get unchanged).
    """
    if not prompt.strip():
        raise ProviderError("invalid", f"{name} needs a prompt that is not blank")
    if "\0" in prompt:
        raise ProviderError("invalid", "the prompt holds a NUL character; take it out")
    try:
        return prompt.encode()
    except UnicodeEncodeError as error:
        raise ProviderError(
            "invalid", f"the prompt is not valid Unicode at character {error.start}"
        ) from None


def required_executable(name: str, ask: Ask, binary: str | None = None) -> str:
    """The absolute path of the CLI, called `binary` if not like the provider.

    Raises `ProviderError` (`unsupported`) if it is not installed.
    """
    if ask.executable is None:
        raise ProviderError(
            "unsupported",
            f"{name} is not installed on this host: install it so that a new terminal finds "
            f"`{binary or name}`, "
            "then run `muster providers`",
        )
    return ask.executable


def value(what: str, text: str) -> str:
    """`text` as the value of an option. Raises `ProviderError` if a CLI could take it for a flag."""
    if not text or text.startswith("-") or not text.isprintable() or any(c.isspace() for c in text):
        raise ProviderError("invalid", f"{text!r} is no {what}")
    return text


def defaults(ask: Ask, wanted: Mapping[str, str]) -> dict[str, str]:
    """Those of `wanted` that the ask's environment does not set itself."""
    return {name: text for name, text in wanted.items() if name not in ask.env}
