"""What is known of a CLI's interface in a terminal, as versioned data: how to submit, how to tell its state.

The data stands in `manifests/NAME.toml`. A rule holds if all of its patterns are found: `title` in the
terminal's title, `screen` in the last `lines` lines that are not blank, joined by newlines. The first
rule that holds decides, so questions come before work and work before rest. A group called `said` in
`screen` is quoted in the reason.

`[approval]` is the menu in which it asks for one: `screen` (in the last `lines` lines) holds only while
the key `allow` allows this once and the key `deny` denies it. `[keys]` has those that `interrupt` a turn.
"""

from __future__ import annotations

import enum
import functools
import importlib.resources
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Activity", "Judgement", "Manifest", "Menu", "Rule", "judge", "load", "parse", "words_of"]

VERSION = 1
MAX_SAID = 200
FRAME = " │─╭╮╰╯┃━"
ANSWER = re.compile(r"([❯›●] *)?1\. ")
"""The first answer of a menu; the mark shows which one is chosen."""


class Activity(enum.StrEnum):
    """What a screen says about its program; named as on the wire.

    `blocked` asks a person for an approval, a login or a choice: nothing automatic types into it.
    `waiting_input` asks them something else. `no_signal`: no rule knows this screen, as while the
    program starts.
    """

    BUSY = "busy"
    IDLE = "idle"
    WAITING_INPUT = "waiting_input"
    BLOCKED = "blocked"
    NO_SIGNAL = "no_signal"


@dataclass(frozen=True, slots=True)
class Rule:
    activity: Activity
    reason: str
    title: re.Pattern[str] | None
    screen: re.Pattern[str] | None
    lines: int


@dataclass(frozen=True, slots=True)
class Menu:
    """The question for an approval, as it stands on the screen, and the one key for each answer."""

    screen: re.Pattern[str]
    lines: int
    allow: str
    deny: str

    def shown(self, lines: Sequence[str]) -> str:
        """Return the menu's text on a screen of these `lines`; empty if it is not there."""
        shown = [line for line in lines if line.strip()]
        found = self.screen.search("\n".join(shown[-self.lines :]))
        return found.group() if found else ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`cli` is the version it was written for. `submit_delay_s` must pass between a text and the Enter
    that submits it; `pasted` is what stands for a long one in the CLI's input. With `bracketed_paste`
    the CLI takes no message before it has asked its terminal for that. `menu` None and `interrupt`
    empty: not known."""

    provider: str
    cli: str
    submit_delay_s: float
    bracketed_paste: bool
    pasted: re.Pattern[str]
    rules: tuple[Rule, ...]
    menu: Menu | None = None
    interrupt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """`reason` goes on where the program's name stands in front of it: "claude" "is working on a turn".
    `said` is what of it the screen itself says, an error among others."""

    activity: Activity
    reason: str
    said: str = ""


def words_of(menu: str) -> str:
    """What a menu asks, on one line, without its frame and answers; what is too long is cut.

    Without the answers, because the mark among them moves while the question stays the same.
    """
    lines = [line.strip(FRAME) for line in menu.splitlines()]
    first = max((index for index, line in enumerate(lines) if ANSWER.match(line)), default=len(lines))
    lines = lines[:first]
    return " ".join(" ".join(lines).split())[:MAX_SAID]


def judge(manifest: Manifest, title: str, lines: Sequence[str]) -> Judgement:
    """What a screen of these `lines` under this `title` says."""
    shown = [line for line in lines if line.strip()]
    for rule in manifest.rules:
        if rule.title is not None and not rule.title.search(title):
            continue
        found = None
        if rule.screen is not None:
            found = rule.screen.search("\n".join(shown[-rule.lines :]))
            if found is None:
                continue
        said = ((found.groupdict().get("said") if found else None) or "").strip()[:MAX_SAID]
        return Judgement(rule.activity, f"{rule.reason}: {said}" if said else rule.reason, said)
    return Judgement(Activity.NO_SIGNAL, "shows nothing that is known of it")


@functools.cache
def load(provider: str) -> Manifest:
    """The manifest that comes with this version for `provider`; it is there for each that has one."""
    file = importlib.resources.files(__package__) / "manifests" / f"{provider}.toml"
    return parse(provider, file.read_text(encoding="utf-8"))


def parse(provider: str, text: str) -> Manifest:
    """The manifest in `text`. Raises `ValueError` for one that does not follow this file."""
    return of_table(provider, tomllib.loads(text))


def of_table(provider: str, table: Mapping[str, Any]) -> Manifest:
    """The manifest that a TOML file holds as `table`. Raises `ValueError` as `parse` does."""
    if table.get("version") != VERSION:
        raise ValueError(f"the manifest of {provider} has version {table.get('version')}, not {VERSION}")
    try:
        return Manifest(
            provider=provider,
            cli=table["cli"],
            submit_delay_s=table["submit"]["delay_ms"] / 1000,
            bracketed_paste=table["submit"]["bracketed_paste"],
            pasted=re.compile(table["submit"]["pasted"]),
            rules=tuple(_rule(rule) for rule in table["rule"]),
            menu=_menu(table["approval"]) if "approval" in table else None,
            interrupt=tuple(table.get("keys", {}).get("interrupt", ())),
        )
    except KeyError as error:
        raise ValueError(f"the manifest of {provider} has no key {error}") from None
    except (TypeError, AttributeError, re.error) as error:
        raise ValueError(f"the manifest of {provider}: {error!r}") from None


def _menu(table: Mapping[str, Any]) -> Menu:
    return Menu(re.compile(table["screen"]), table["lines"], table["allow"], table["deny"])


def _rule(table: Mapping[str, Any]) -> Rule:
    unknown = table.keys() - {"activity", "reason", "title", "screen", "lines"}
    if unknown or not ("title" in table or "screen" in table) or ("screen" in table) != ("lines" in table):
        raise ValueError(f"a rule has a title, or a screen with its lines; this one: {dict(table)}")
    return Rule(
        activity=Activity(table["activity"]),
        reason=table["reason"],
        title=re.compile(table["title"]) if "title" in table else None,
        screen=re.compile(table["screen"]) if "screen" in table else None,
        lines=table.get("lines", 0),
    )
