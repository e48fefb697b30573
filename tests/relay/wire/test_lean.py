"""What servers leave out of themselves."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import contextlib, sys
from relay.wire import lean
with contextlib.suppress(ImportError):
    import sniffio
assert "sniffio" in sys.modules, "it will be looked for again"
import anyio, httpcore, httpx
"""


def test_a_module_that_calls_ask_for_is_looked_for_once() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
