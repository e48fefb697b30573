# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""The keeper from its source, for a disk too full to hold the bundle (see `keeper_program.py`)."""

sys.path.insert(0, __file__.rsplit("/", 3)[0])

from spawners.keeper.program import main

main()
