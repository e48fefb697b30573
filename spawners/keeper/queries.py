"""What a program asks its terminal, found by a plain search."""

import time

from spawners.keeper.keys import whole_bytes

ANSWER_S = 1.0  # for the answer to a terminal query by one who emulates


class Queries:
    """What the program asks its terminal. Found here by a plain search; answered by whoever emulates it,
    and with what can be said without that (`PLAIN`) if nobody does in time, so that no program hangs."""

    PLAIN = (
        (b"\x1b[c", b"\x1b[?62;22c"),
        (b"\x1b[0c", b"\x1b[?62;22c"),
        (b"\x1b[>c", b"\x1b[>1;10;0c"),
        (b"\x1b[>0c", b"\x1b[>1;10;0c"),
        (b"\x1b[5n", b"\x1b[0n"),
        (b"\x1b[6n", b"\x1b[1;1R"),
        (b"\x1b[?6n", b"\x1b[?1;1R"),
    )
    SEARCHED = (
        *(query for query, _ in PLAIN),
        *(b"\x1b[=c", b"\x1b[=0c", b"\x1b[?u", b"\x1b[>q", b"\x1b[>0q", b"\x1b[?5n", b"\x1b[?996n"),
        *(b"$p", b"$q", b"+q", b"?\x07", b"?\x1b\\", b"\x1b[14t", b"\x1b[16t", b"\x1b[18t", b"\x1b[21t"),
        b"\x1b_G",
    )
    KEPT = 4096
    MOST = 64  # reads that asked something and are unanswered; from there on they count as one

    def __init__(self) -> None:
        self.cut = b""  # an unfinished sequence at the end of what was read last
        self.asked: list[tuple[int, int, bytes]] = []  # from, to, the bytes
        self.due: float | None = None
        self.tried = 0  # how many responders have let it pass

    def look(self, offset: int, data: bytes) -> bool:
        """Whether `data`, written at `offset`, asks something (more); it is then in `asked`."""
        if b"\x1b" not in data and not self.cut:
            return False
        start, window = offset - len(self.cut), self.cut + data
        whole = whole_bytes(window)
        self.cut, window = window[whole:], window[:whole]
        found = any(query in window for query in self.SEARCHED)
        if found and len(self.asked) >= self.MOST:
            first, _, before = self.asked.pop()
            self.asked.append((first, start + whole, (before + window)[-self.KEPT :]))
        elif found:
            self.asked.append((start, start + whole, window[-self.KEPT :]))
        return found

    def answered(self, upto: int) -> bool:
        """Forget what is answered by one who has seen the output up to `upto`; whether that was news."""
        left = [item for item in self.asked if item[1] > upto]
        news = len(left) < len(self.asked)
        self.asked = left
        if news:
            self.tried = 0
            self.due = time.monotonic() + ANSWER_S if left else None
        return news

    def plain_answers(self) -> bytes:
        """To everything that is still open, in order; what has no plain answer gets none."""
        answers = []
        for _, _, data in self.asked:
            found = []
            for query, answer in self.PLAIN:
                at = data.find(query)
                while at >= 0:
                    found.append((at, answer))
                    at = data.find(query, at + 1)
            answers += [answer for _, answer in sorted(found)]
        self.asked, self.due, self.tried = [], None, 0
        return b"".join(answers)
