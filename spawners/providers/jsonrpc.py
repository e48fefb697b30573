"""One end of JSON-RPC 2.0 over lines, without any I/O: what comes in is paired with what was asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import JsonLines, inner

__all__ = ["METHOD_NOT_FOUND", "Answer", "Call", "Message", "Notice", "Peer"]

METHOD_NOT_FOUND = -32601

Id = int | str


@dataclass(frozen=True, slots=True)
class Answer:
    """The other end has answered the request called `tag`: with `error`, else with `result`."""

    tag: str
    result: Line
    error: Line | None


@dataclass(frozen=True, slots=True)
class Call:
    """The other end asks something and waits for `Peer.answer` or `Peer.refuse`."""

    id: Id
    method: str
    params: Line


@dataclass(frozen=True, slots=True)
class Notice:
    method: str
    params: Line


Message = Answer | Call | Notice


class Peer:
    """Numbers its requests from 1, so that the same words always make the same bytes.

    Lines that are no JSON-RPC, and answers to what was not asked, are skipped. A request is known by
    its `tag` when its answer comes; several may have the same one.
    """

    def __init__(self) -> None:
        self._lines = JsonLines()
        self._asked: dict[int, str] = {}
        self._count = 0
        self._outgoing = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the message of every line that `data` completes."""
        for line in self._lines.feed(data):
            message = self._read(line)
            if message is not None:
                yield message

    def take_outgoing(self) -> bytes:
        """What is to be written, each byte once."""
        taken = bytes(self._outgoing)
        self._outgoing.clear()
        return taken

    def request(self, tag: str, method: str, params: dict[str, Any]) -> None:
        self._count += 1
        self._asked[self._count] = tag
        self._write({"id": self._count, "method": method, "params": params})

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self._write({"method": method, "params": params})

    def answer(self, call_id: Id, result: dict[str, Any]) -> None:
        self._write({"id": call_id, "result": result})

    def refuse(self, call_id: Id, code: int, message: str) -> None:
        self._write({"id": call_id, "error": {"code": code, "message": message}})

    def _write(self, message: dict[str, Any]) -> None:
        self._outgoing += json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"

    def _read(self, line: Line) -> Message | None:
        known, method = line.get("id"), line.get("method")
        if isinstance(method, str):
            if isinstance(known, int | str):
                return Call(known, method, inner(line, "params"))
            return Notice(method, inner(line, "params"))
        tag = self._asked.pop(known, None) if isinstance(known, int) else None
        if tag is None:
            return None
        error = inner(line, "error") if line.get("error") is not None else None
        return Answer(tag, inner(line, "result"), error)
