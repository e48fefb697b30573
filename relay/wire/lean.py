"""What a server leaves out of itself; to be imported before anything that logs.

structlog loads all of rich for tracebacks in colour, which no log of ours has, and httpx its own command
line: a tenth of a server's start. Another tenth is looking for garbage among what is being imported, which
all stays: `main` is to freeze that, and to have garbage collected from then on. httpcore looks for sniffio
several times in a call; where it is not installed, each time along all of the path, for 0.1 ms.
"""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec

__all__: list[str] = []

gc.disable()
for _module in ("rich", "httpx._main"):
    sys.modules.setdefault(_module, None)  # type: ignore[arg-type]

if find_spec("sniffio") is None:  # where it is installed, an older anyio may need it
    sys.modules["sniffio"] = None  # type: ignore[assignment]
