"""The options that `spawn` and `run` share, as typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.completion import complete_providers
from orchestrator.cli.parameters import HostOpt, RelayOpt

__all__ = ["SpawnOptions"]


@dataclass(frozen=True, kw_only=True)
class SpawnOptions:
    """The options of `spawn` and `run`, as typed."""

    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROMPT... | -- ARGV...", help="The prompt (`-` reads stdin), or a command after --."
        ),
    ] = None
    host: HostOpt = None
    relay_wide: RelayOpt = False
    place: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only on hosts with this label. Repeatable."),
    ] = None
    provider: Annotated[
        str | None,
        typer.Option(
            "--provider",
            "-p",
            help="The CLI to run: claude, codex, ... (`muster providers`).",
            autocompletion=complete_providers,
        ),
    ] = None
    mode: Annotated[
        str,
        typer.Option(
            help="headless; embedded in a terminal of its own; or terminal: that, shown in a native window."
        ),
    ] = "headless"
    terminal: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The terminal of that window (`muster doctor --terminals`). Default: found."
        ),
    ] = None
    tab: Annotated[bool, typer.Option("--tab", help="A tab instead of a window, where it can.")] = False
    hold: Annotated[
        str | None,
        typer.Option(metavar="always|error|never", help="When the window stays after the end, until Enter."),
    ] = None
    on_window_close: Annotated[
        str | None, typer.Option(metavar="detach|stop", help="What closing the window does to the agent.")
    ] = None
    terminal_fallback: Annotated[
        str | None, typer.Option(metavar="embedded|error", help="What to do where no window opens.")
    ] = None
    cwd: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where it runs. Default: here, or its host's base folder."),
    ] = None
    label: Annotated[str | None, typer.Option(help="A name to call it by.")] = None
    approval: Annotated[str | None, typer.Option(help="read-only, guarded or open. Default: guarded.")] = None
    ask: Annotated[
        bool | None,
        typer.Option(
            "--ask/--no-ask",
            help="Whether somebody answers what it asks approval for, or all of it is denied.",
        ),
    ] = None
    approval_timeout: Annotated[
        str | None, typer.Option(metavar="S", help="How long an approval waits for an answer.")
    ] = None
    conversation: Annotated[
        bool, typer.Option("--conversation", help="Headless: take messages (`muster send`) after each turn.")
    ] = False
    model: Annotated[str | None, typer.Option(help="The model, by the provider's name for it.")] = None
    timeout: Annotated[str | None, typer.Option(metavar="S", help="End it after this long (90, 5m, 2h).")] = (
        None
    )
    idle_timeout: Annotated[
        str | None, typer.Option(metavar="S", help="End it after this long without a sign of work.")
    ] = None
    max_turns: Annotated[
        int | None, typer.Option(metavar="N", help="End it when the model goes on after N answers.")
    ] = None
    max_cost: Annotated[float | None, typer.Option(metavar="USD", help="End it when it has cost more.")] = (
        None
    )
    queue_timeout: Annotated[
        str | None, typer.Option(metavar="S", help="How long it may wait for a host.")
    ] = None
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="K[=V]", help="A variable; without =V your own value. Repeatable."),
    ] = None
    prompt_file: Annotated[str | None, typer.Option(metavar="FILE", help="Read the prompt from here.")] = None
    stdin: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="What a command reads; - is your own stdin.")
    ] = None
    stdin_live: Annotated[
        bool, typer.Option("--stdin-live", help="Keep its stdin open for `muster send`.")
    ] = False
    leftovers: Annotated[
        str, typer.Option(metavar="end|keep", help="What becomes of processes it leaves behind.")
    ] = "end"
    size: Annotated[
        str | None,
        typer.Option(
            metavar="COLSxROWS", help="The size of its terminal (embedded). Default: terminal.size."
        ),
    ] = None
    sizing: Annotated[
        str | None,
        typer.Option(metavar="active|smallest", help="Whose size counts among several viewers (embedded)."),
    ] = None
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="The most memory its whole tree may use (512M, 2G).")
    ] = None
    cpus: Annotated[
        str | None, typer.Option(metavar="N", help="The most processor cores its whole tree may use (1.5).")
    ] = None
    restart: Annotated[str, typer.Option(help="never, on-failure or always: start another in its place.")] = (
        "never"
    )
    restart_limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="At most so often in a row. Default: 5.")
    ] = None
    on_rate_limit: Annotated[
        str, typer.Option(metavar="fail|resume", help="What to do when the model's provider has had enough.")
    ] = "fail"
    worktree: Annotated[str | None, typer.Option(metavar="BRANCH", help="Run in a git worktree.")] = None
    tag: Annotated[list[str] | None, typer.Option(help="A tag to find it by. Repeatable.")] = None
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Asking again with the same key finds the same agent.")
    ] = None
    no_start: Annotated[
        bool, typer.Option("--no-start", help="Do not start Muster if it is not running.")
    ] = False
