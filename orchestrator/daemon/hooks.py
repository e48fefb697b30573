"""What the hooks of one agent's CLI say: each message once, also those that no daemon was there to take."""

from __future__ import annotations

import collections
import contextlib
import os

import msgspec
import structlog

from orchestrator.daemon.observe import Observer
from relay.wire.base import now_ms
from relay.wire.private import replace_file
from relay.wire.steering import HookReport
from spawners.providers.base import Provider

__all__ = ["Hooks"]

log = structlog.get_logger()

REMEMBERED = 1000
"""A program that gave up waiting leaves the message too, although it may have been taken."""


class Hooks:
    """`path` is the file in which the hooks' program leaves what it could not deliver."""

    def __init__(self, provider: Provider, observer: Observer, path: str) -> None:
        self._provider = provider
        self._observer = observer
        self._path = path
        self._taken: collections.deque[int] = collections.deque(maxlen=REMEMBERED)

    def take(self, report: HookReport) -> None:
        """Take one message, after all that were left before it."""
        self.collect()
        self._take(report)

    def collect(self) -> None:
        """Take what was left, and delete it."""
        for path in (self._path + ".old", self._path):
            try:
                replace_file(path, path + ".taken")
            except (FileNotFoundError, PermissionError):  # none, or Windows has it open: the next time then
                continue
            with open(path + ".taken", "rb") as file:
                lines = file.read().splitlines()
            os.unlink(path + ".taken")
            for line in lines:
                with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                    self._take(msgspec.json.decode(line, type=HookReport))

    def _take(self, report: HookReport) -> None:
        mark = hash((report.at, msgspec.json.encode(report.payload)))
        if mark in self._taken:
            return
        self._taken.append(mark)
        now = now_ms()
        at = report.at if 0 < report.at <= now else now
        self._observer.heard(self._provider.hook(report.payload), at, "hook")
