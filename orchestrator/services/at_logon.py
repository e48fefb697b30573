"""`pythonw -m orchestrator.services.at_logon [HOME]`: what Windows runs at logon. It has no console."""

from __future__ import annotations

import os
import sys

from orchestrator.services import foreground
from orchestrator.services.logon import beside, start
from relay.wire.home import Home

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Start `muster up` of the home that was chosen when the service was installed, and end."""
    if arguments:
        os.environ["MUSTER_HOME"] = arguments[0]
    start(foreground(Home.from_environment(), beside(sys.executable, "python.exe")))


if __name__ == "__main__":
    main(sys.argv[1:])
