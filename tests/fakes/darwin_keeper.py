"""Programs that run on Linux and believe they are on a Mac, behind a fake libSystem: the keeper, and whatever
a test says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from spawners import keeper_program

__all__ = ["darwin_bundle", "on_a_mac"]

_PROGRAM = """
import marshal, sys
sys.path.insert(0, {fakes!r})
import darwin
darwin.install(*{protected!r})
del sys.path[0]
with open({bundle!r}, "rb") as file:
    exec(marshal.loads(file.read()[16:]), {{"__name__": "__main__"}})
"""


def darwin_bundle(folder: Path, *protected: str) -> str:
    """Write the program into `folder` and return its path. The environment of `protected` is not told it."""
    modules = list(keeper_program.MODULES)
    if "lineage" not in modules:
        at = modules.index("host")
        modules[at:at] = ["libproc", "lineage"]
    source = Path(keeper_program.__file__).with_name("keeper")
    bundle = folder / "darwin.pyc"
    texts = {name: (source / f"{name}.py").read_text() for name in modules}
    bundle.write_bytes(keeper_program._bundle(texts))
    program = folder / "darwin_keeper.py"
    program.write_text(
        _PROGRAM.format(fakes=os.path.dirname(__file__), bundle=str(bundle), protected=protected)
    )
    return str(program)


_PRELUDE = f"""
import asyncio, os, signal, subprocess, sys, tempfile
from pathlib import Path
import psutil
sys.path[:0] = [{os.path.dirname(__file__)!r}]
import darwin
library = darwin.install()
from spawners import _os
from spawners._os import darwin as system
assert _os.process is system.process
"""


def on_a_mac(program: str, **env: str) -> str:
    """Run this text in a process of its own, which must end well; returns what it printed."""
    ran = subprocess.run(
        [sys.executable, "-c", _PRELUDE + program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **env},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
