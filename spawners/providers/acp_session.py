"""The session of an ACP dialogue: how it is opened or loaded, and which model and mode it is in."""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spawners.providers.acp_usage import usage_of
from spawners.providers.base import ApprovalMode, Opening, ProviderError
from spawners.providers.events import Changed, Event, Usage
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import inner, text_of
from spawners.providers.jsonrpc import Answer, Peer

__all__ = ["Habits", "Session"]

VERSION = 1
AUTH_REQUIRED = -32000

CLIENT: dict[str, Any] = {
    "protocolVersion": VERSION,
    "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
    "clientInfo": {"name": "muster", "version": "1"},
}

QUIET = "_muster/quiet"
"""No agent knows this method: its refusal tells that all that was to be said before has been said."""

HISTORY = frozenset(
    {"user_message_chunk", "agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update"}
)


def _none(result: Line, text: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """Where the CLIs that speak ACP differ.

    `login` says what to do where the CLI wants a login. `modes` are its names for ours: the opening's
    is set before the first prompt, and only to these can be changed; without any the mode is settled
    in argv for good. With `sets_model` the opening's model is set over ACP too. `usage` finds the
    tokens in a prompt's result: those of the whole session if it is `cumulative`, else of that turn.
    `noise` is text of the assistant that no model has said; `mode_note` the same for a change of mode,
    which is its first group. `failure` finds the error in a turn that ends as if all were well, in its result
    and its answer. Without `changes_model` none is changed: the CLI would keep it for all its sessions.
    """

    login: str
    modes: Mapping[ApprovalMode, str] = field(default_factory=dict)
    sets_model: bool = False
    usage: Callable[[Line], Usage | None] = usage_of
    cumulative: bool = False
    changes_model: bool = True
    noise: re.Pattern[str] | None = None
    mode_note: re.Pattern[str] | None = None
    failure: Callable[[Line, str], str | None] = _none


@dataclass(frozen=True, slots=True)
class _Change:
    """Another model or mode that was asked for; without `required` the session can go on as it is."""

    model: str | None
    mode: ApprovalMode | None
    required: bool


class Session:
    """`id` is its name once it is there. `ready` means that it takes a prompt, `broken` why it never will.

    What a loaded session repeats is history. gemini goes on repeating after it has called the session
    loaded, so one counts as loaded when nothing more came between a question and its answer.
    """

    def __init__(self, peer: Peer, opening: Opening, habits: Habits) -> None:
        self._peer = peer
        self._opening = opening
        self._habits = habits
        self._asked: collections.deque[_Change] = collections.deque()
        self._repeated = False
        self._known: Line = {}
        self.id = opening.resume
        self.open = False
        self.broken: str | None = None
        self.mode = opening.approval_mode
        self.model = opening.model
        peer.request("initialize", "initialize", CLIENT)

    @property
    def ready(self) -> bool:
        return self.open and not self._asked and self.broken is None

    def history(self, kind: str | None) -> None:
        """An update came before the session was open."""
        self._repeated = self._repeated or kind in HISTORY

    def answered(self, answer: Answer) -> Iterator[Event]:
        """Take the answer to one of its own requests. It may be open, ready or broken after that."""
        if answer.tag == "change":
            yield from self._changed(self._asked.popleft(), answer.error)
        elif answer.tag == "quiet":
            self._replayed()
        elif answer.error is not None:
            self.broken = self.words(answer.error)
        elif answer.tag == "initialize":
            self._initialized(answer.result.get("protocolVersion"))
        else:
            self._opened(answer.result)

    def change(self, model: str | None, mode: ApprovalMode | None) -> None:
        """Ask for another model or mode; `Changed` comes if the CLI agrees. Raises `ProviderError`."""
        if not self.open:
            raise ProviderError("unsupported", "its session is not open yet; try again in a moment")
        if mode is not None and mode not in self._habits.modes:
            raise ProviderError(
                "unsupported", f"it cannot change to {mode}: stop it and resume it in that mode"
            )
        if model is not None and not self._habits.changes_model:
            raise ProviderError(
                "unsupported", "it cannot change its model: stop it and resume it with another"
            )
        if mode is not None:
            self._set_mode(mode, required=False)
        if model is not None:
            self._set_model(model, required=False)

    def changed_itself(self, mode_id: str | None) -> Iterator[Event]:
        """The CLI says that it is in another mode now."""
        for mode, name in self._habits.modes.items():
            if name == mode_id and mode is not self.mode:
                self.mode = mode
                yield Changed(None, mode)

    def words(self, error: Line) -> str:
        """What went wrong, for people."""
        message = text_of(error, "message") or "unknown error"
        details = text_of(inner(error, "data"), "details") or text_of(inner(error, "data"), "message")
        said = f"{message}: {details}" if details else _plain(message)
        return f"{said}; {self._habits.login}" if error.get("code") == AUTH_REQUIRED else said

    def _initialized(self, version: Any) -> None:
        where: dict[str, Any] = {"cwd": self._opening.cwd, "mcpServers": []}
        if version != VERSION:
            self.broken = (
                f"it speaks version {version!r} of ACP, not {VERSION}: install the version proven here"
            )
        elif self.id is None:
            self._peer.request("open", "session/new", where)
        else:
            self._peer.request("open", "session/load", {"sessionId": self.id, **where})

    def _opened(self, result: Line) -> None:
        self.id = self.id or text_of(result, "sessionId")
        self._known = result
        if self.id is None:
            self.broken = "it opened a session without a name"
        elif self._opening.resume is not None:
            self._peer.request("quiet", QUIET, {})
        else:
            self._begin()

    def _replayed(self) -> None:
        if self._repeated:
            self._repeated = False
            self._peer.request("quiet", QUIET, {})
        else:
            self._begin()

    def _begin(self) -> None:
        self.open = True
        self.model = self.model or self._model_name()
        current = text_of(inner(self._known, "modes"), "currentModeId")
        if self._habits.modes.get(self.mode, current) != current:
            self._set_mode(self.mode, required=True)
        if self._habits.sets_model and self._opening.model is not None:
            self._set_model(self._opening.model, required=True)

    def _set_mode(self, mode: ApprovalMode, *, required: bool) -> None:
        self._asked.append(_Change(None, mode, required))
        name = self._habits.modes[mode]
        self._peer.request("change", "session/set_mode", {"sessionId": self.id, "modeId": name})

    def _set_model(self, model: str, *, required: bool) -> None:
        self._asked.append(_Change(model, None, required))
        name = self._model_id(model)
        self._peer.request("change", "session/set_model", {"sessionId": self.id, "modelId": name})

    def _changed(self, change: _Change, error: Line | None) -> Iterator[Event]:
        if error is None:
            self.mode = change.mode or self.mode
            self.model = change.model or self.model
        elif change.required:
            self.broken = self.words(error)
            return
        yield Changed(self.model, self.mode)

    def _models(self) -> list[Line]:
        offered = inner(self._known, "models").get("availableModels")
        return [each for each in offered if isinstance(each, dict)] if isinstance(offered, list) else []

    def _model_id(self, model: str) -> str:
        """What the CLI calls `model`, which may be a name in its list."""
        ids = (text_of(each, "modelId") for each in self._models() if model in each.values())
        return next(ids, None) or model

    def _model_name(self) -> str | None:
        """The name of the model it is in, without what the CLI adds to tell its logins apart."""
        current = text_of(inner(self._known, "models"), "currentModelId")
        names = (text_of(each, "name") for each in self._models() if each.get("modelId") == current)
        return next(names, None) or current


def _plain(message: str) -> str:
    """`message` without the JSON that an API wrapped it in."""
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return message
    error = inner(value, "error") if isinstance(value, dict) else {}
    return text_of(error, "message") or message
