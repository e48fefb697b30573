"""Which modes a run of output leaves a terminal in."""

from spawners.keeper.keys import part_of_character, whole_bytes


class ModeScan:
    """Which modes a run of output leaves a terminal in: no emulation, a few sequences are searched."""

    def __init__(self) -> None:
        self.reset()
        self.cut = b""  # what the run ends with and the next one finishes

    def reset(self) -> None:
        self.private: dict[bytes, bytes] = {}
        self.keypad = b""
        self.title = b""
        self.keyboard: list[bytes] = []  # the stack of flags of the kitty protocol

    def scan(self, data: bytes) -> None:
        data = self.cut + data
        end = whole_bytes(data)
        self.cut = data[end:] or part_of_character(data)
        data = data[:end]
        reset = data.rfind(b"\x1bc")
        if reset >= 0:
            self.reset()
            data = data[reset + 2 :]
        self.scan_modes(data)
        self.scan_keyboard(data)
        application, numeric = data.rfind(b"\x1b="), data.rfind(b"\x1b>")
        if application != numeric:
            self.keypad = b"\x1b=" if application > numeric else b"\x1b>"
        at = max(data.rfind(b"\x1b]0;"), data.rfind(b"\x1b]2;"))
        if at >= 0:
            title = data[at + 4 : at + 1024]
            self.title = title.split(b"\x07")[0].split(b"\x1b")[0]

    def scan_keyboard(self, data: bytes) -> None:
        found = []
        for start in (b"\x1b[>", b"\x1b[<", b"\x1b[="):
            at = data.find(start)
            while at >= 0:
                found.append(at)
                at = data.find(start, at + 3)
        for at in sorted(found):
            end = at + 3
            while data[end : end + 1].isdigit() or data[end : end + 1] == b";":
                end += 1
            if data[end : end + 1] == b"u":
                self.change_keyboard(data[at + 2 : at + 3], data[at + 3 : end].split(b";"))

    def change_keyboard(self, how: bytes, numbers: "list[bytes]") -> None:
        if how == b">":
            self.keyboard = [*self.keyboard, numbers[0] or b"0"][-8:]  # as deep as terminals let it be
        elif how == b"<":
            self.keyboard = self.keyboard[: max(0, len(self.keyboard) - int(numbers[0] or b"1"))]
        elif len(numbers) == 1 or numbers[1] == b"1":
            self.keyboard = [*self.keyboard[:-1], numbers[0] or b"0"]

    def scan_modes(self, data: bytes) -> None:
        at = data.find(b"\x1b[?")
        while at >= 0:
            end = at + 3
            while data[end : end + 1].isdigit() or data[end : end + 1] == b";":
                end += 1
            last = data[end : end + 1]
            if last in (b"h", b"l"):
                for mode in data[at + 3 : end].split(b";"):
                    self.private.pop(mode, None)  # to the end: the order of the last changes counts
                    self.private[mode] = last
            at = data.find(b"\x1b[?", end)

    def prelude(self) -> bytes:
        """The modes, and behind them what the following output finishes."""
        modes = [b"\x1b[?" + mode + last for mode, last in self.private.items() if mode != b"2026"]
        title = b"\x1b]2;" + self.title + b"\x07" if self.title else b""
        keyboard = b"".join([b"\x1b[>%su" % flags for flags in self.keyboard])
        return b"".join(modes) + self.keypad + keyboard + title + self.cut
