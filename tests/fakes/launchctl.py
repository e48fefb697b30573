"""`launchctl` as far as a LaunchAgent needs it: `python launchctl.py FOLDER WORDS…`; its state is in FOLDER.

It writes down what it is asked, refuses with the exit codes of the real one (5, 113), and after a `bootout`
has the agent for one more look, as the real one does while that ends. `refuse` in FOLDER: what `bootstrap`
exits with.
"""

from __future__ import annotations

import json
import plistlib
import sys
from pathlib import Path

PID = 4321


def main(folder: Path, words: list[str]) -> int:
    with open(folder / "asked", "a", encoding="utf-8") as asked:
        asked.write(json.dumps(words) + "\n")
    loaded, ending = folder / "loaded", folder / "ending"
    match words:
        case ["bootstrap", _, file]:
            if (folder / "refuse").exists():
                return int((folder / "refuse").read_text())
            if loaded.exists() or ending.exists():
                print("Bootstrap failed: 5: Input/output error", file=sys.stderr)
                return 5
            loaded.write_text(plistlib.loads(Path(file).read_bytes())["Label"])
        case ["bootout", _]:
            if not loaded.exists():
                return 113
            loaded.rename(ending)
        case ["print", target]:
            if ending.exists():
                ending.unlink()
                print(f"{target} = {{\n\tstate = running\n}}")
            elif loaded.exists():
                print(f"{target} = {{\n\tstate = running\n\n\tpid = {PID}\n\tforks = 2\n}}")
            else:
                return 113
        case ["print-disabled", _]:
            off = (folder / "disabled").exists()
            print(f'\tdisabled services = {{\n\t\t"musterd" => {"disabled" if off else "enabled"}\n\t}}')
        case ["enable", _]:
            (folder / "disabled").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
