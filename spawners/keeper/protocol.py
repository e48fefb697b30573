"""The keeper's own copy of what `spawners/frames.py` explains; a test compares the two."""

import _struct

VERSION = 1
HELLO, FAILED, GREW, DONE, REFUSED, EXIT, BORN = 1, 2, 3, 4, 5, 6, 7
DATA, ASKED, SIZED = 16, 17, 18
STATUS, INPUT, CANCEL_INPUT, CLOSE_STDIN, SIGNAL, STOP, MEMBERS, HOLD, WAIT, COLLECTED, GO, GIVE = range(
    32, 44
)
RESIZE, ATTACH, TYPE, WATCH, ANSWER, RESPOND, TERMINAL = range(48, 55)
MAX_PAYLOAD = 1024 * 1024
HEADER = _struct.Struct("!IB")
INDEX = _struct.Struct("!QQ")  # offset; milliseconds << 16 | stream << 8
RELEASE = 2**64 - 1
PTY, STDOUT, STDERR = 0, 1, 2
SIZES = _struct.Struct("!QQHH")  # offset, milliseconds, rows, columns
