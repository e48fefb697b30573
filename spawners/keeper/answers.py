"""Terminal queries, answered once and by one party."""

import _struct
import time

from spawners.keeper.connection import Connection
from spawners.keeper.protocol import ASKED
from spawners.keeper.queries import ANSWER_S
from spawners.keeper.viewers import Viewers

MYPY = False
if MYPY:
    from typing import Any

NOBODY_S = 0.2  # and where nobody does: the daemon may be about to connect


class Answers(Viewers):
    """Who answers for the terminal."""

    def responder(self) -> "Connection | None":
        row = [c for c in self.connections.values() if c.responds]
        return min(row, key=lambda connection: connection.responds, default=None)

    def answer_due(self) -> "float | None":
        return self.terminal.queries.due if self.terminal else None

    def ask(self) -> None:
        """Hand all that is unanswered to one who emulates the terminal."""
        queries = self.terminal.queries if self.terminal else None
        if queries is None or not queries.asked:
            return
        responder = self.responder()
        if queries.due is None:
            queries.due = time.monotonic() + (ANSWER_S if responder is not None else NOBODY_S)
        if responder is not None:
            self.send_raw(responder, ASKED, _struct.pack("!QQ", queries.asked[0][0], queries.asked[-1][1]))

    def ask_anew(self) -> None:
        """Another one answers from now on, who has the full time for it."""
        if self.terminal:
            self.terminal.queries.due = None
            self.ask()

    def put_last(self, connection: Connection) -> None:
        """In the row of those who answer queries."""
        connection.responds = 1 + max([c.responds for c in self.connections.values()])

    def do_respond(self, connection: Connection, _: "dict[str, Any]") -> "dict[str, Any]":
        self.require_terminal()
        if not connection.responds:
            self.put_last(connection)
            if self.responder() is connection:
                self.ask_anew()
        return {}

    def take_answer(self, connection: Connection, upto: int, data: bytes) -> None:
        """Of the present responder only, and only to what is still open: nothing is answered twice."""
        if self.terminal and connection is self.responder() and self.terminal.queries.answered(upto):
            self.push_answer(data)

    def answer_late(self) -> None:
        """The time for an answer has passed: the next one in the row is asked, or nobody is left to ask."""
        assert self.terminal is not None
        queries, responder = self.terminal.queries, self.responder()
        if responder is not None:
            queries.tried += 1
            self.put_last(responder)
            if queries.tried < len([c for c in self.connections.values() if c.responds]):
                self.ask_anew()
                return
        self.push_answer(queries.plain_answers())
