"""The keeper from its source, for a disk too full to hold the bundle (see `keeper_program.py`)."""

import sys

sys.path.insert(0, __file__.replace("\\", "/").rsplit("/", 3)[0])

if sys.platform == "win32":
    from spawners.keeper.windows.program import main
else:
    from spawners.keeper.program import main

main()
