"""What a person types, cut and told apart without a terminal emulator."""

CUT_BYTES = 4096  # the longest unfinished sequence that is looked at again with what follows it


def only_reports(data: bytes) -> bool:
    """Whether a person's terminal sent this by itself: focus in or out, mouse in any encoding."""
    while data.startswith(b"\x1b["):
        end = 2
        while data[end : end + 1].isdigit() or data[end : end + 1] in (b";", b"<"):
            end += 1
        last = data[end : end + 1]
        if end == 2 and last in (b"I", b"O"):
            data = data[3:]
        elif end == 2 and last == b"M":
            data = data[6:]
        elif end > 2 and last in (b"M", b"m"):
            data = data[end + 1 :]
        else:
            return False
    return not data


def whole_bytes(data: bytes) -> int:
    """How many bytes of `data` stand before a sequence that begins at its end and is not finished."""
    at = data.rfind(b"\x1b", -CUT_BYTES)
    if at < 0:
        return len(data)
    rest = data[at:]
    kind = rest[1:2]
    if not kind:  # perhaps the end of a string
        opened = data.rfind(b"\x1b", max(0, at - CUT_BYTES), at)
        return at if opened < 0 or whole_bytes(data[:at]) > opened else opened
    if kind in (b"P", b"]", b"_", b"^", b"X"):
        return len(data) if any(end in rest for end in (b"\x07", b"\x18", b"\x1a")) else at
    between = b"" if kind == b"[" else kind
    low, high, begin = (0x20, 0x3F, 2) if kind == b"[" else (0x20, 0x2F, 1)
    if between and not low <= between[0] <= high:
        return len(data)
    return at if all(low <= byte <= high for byte in rest[begin:]) else len(data)


def part_of_character(data: bytes) -> bytes:
    """The bytes at the end of `data` that begin a UTF-8 character and do not finish it."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            return data[-back:] if (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) > back else b""
        if byte < 0x80:
            break
    return b""
