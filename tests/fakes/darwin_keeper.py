"""The keeper as it is on a Mac, as a program that runs on Linux: its bundle, behind a fake libSystem."""

from __future__ import annotations

import os
from pathlib import Path

from spawners import keeper_program

__all__ = ["darwin_bundle"]

_PROGRAM = """
import marshal, sys
sys.path.insert(0, {fakes!r})
import darwin
darwin.install()
del sys.path[0]
with open({bundle!r}, "rb") as file:
    exec(marshal.loads(file.read()[16:]), {{"__name__": "__main__"}})
"""


def darwin_bundle(folder: Path) -> str:
    """Write the program into `folder` and return its path."""
    modules = list(keeper_program.MODULES)
    at = modules.index("processes")
    modules[at:at] = ["libproc", "lineage"]
    source = Path(keeper_program.__file__).with_name("keeper")
    bundle = folder / "darwin.pyc"
    texts = {name: (source / f"{name}.py").read_text() for name in modules}
    bundle.write_bytes(keeper_program._bundle(texts))
    program = folder / "darwin_keeper.py"
    program.write_text(_PROGRAM.format(fakes=os.path.dirname(__file__), bundle=str(bundle)))
    return str(program)
