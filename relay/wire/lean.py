"""What a server leaves out of itself; to be imported before anything that logs.

structlog loads all of rich for tracebacks in colour, which no log of ours has, and httpx its own command
line: a tenth of a server's start.
"""

from __future__ import annotations

import sys

__all__: list[str] = []

for _module in ("rich", "httpx._main"):
    sys.modules.setdefault(_module, None)  # type: ignore[arg-type]
