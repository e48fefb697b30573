"""What the keeper reads and writes: JSON without the `json` module, and whole files."""

import _json

from spawners.keeper.system import READ, close, open_file, read, remove, write

MYPY = False
if MYPY:
    from collections.abc import Callable
    from typing import Any

SMALL_FILE = 8192


class Context:
    """What `_json.make_scanner` asks its decoder for."""

    strict = False
    object_hook = object_pairs_hook = array_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> None:
        raise ValueError(name)


def find_scanner() -> "Callable[[str, int], tuple[Any, int]]":
    """What takes JSON apart. Each asks for its context anew, so one is made for all."""
    try:
        return _json.make_scanner(Context())  # type: ignore[arg-type]
    except (TypeError, AttributeError):  # a Python whose private scanner wants something else
        import json  # noqa: PLC0415

        return json.JSONDecoder().scan_once  # type: ignore[attr-defined, no-any-return]


SCAN = find_scanner()


def loads(data: bytes) -> "Any":
    try:
        return SCAN(data.decode().strip(), 0)[0]
    except (StopIteration, SystemError):  # the latter where `json`, for its error class, is not imported
        raise ValueError("not JSON") from None


def dumps(value: "Any") -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _json.encode_basestring_ascii(value)
    if isinstance(value, dict):
        return "{%s}" % ",".join(["%s:%s" % (dumps(k), dumps(v)) for k, v in value.items()])
    return "[%s]" % ",".join([dumps(item) for item in value])


def read_file(path: str) -> bytes:
    fd = open_file(path, READ)
    try:
        data = read(fd, SMALL_FILE)  # a larger buffer would be mapped and unmapped at each call
        part = data
        while part:
            part = read(fd, SMALL_FILE if len(part) < SMALL_FILE else 1 << 20)
            data += part
        return data
    finally:
        close(fd)


def unlink(path: str) -> None:
    try:
        remove(path)
    except OSError:
        pass


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[write(fd, view) :]


def drain(fd: int) -> None:
    try:
        read(fd, 4096)
    except BlockingIOError:
        pass
