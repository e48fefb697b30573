"""Makes a host know the scripted CLI: by a file of its owner's, and nothing else."""

from __future__ import annotations

import shlex
from pathlib import Path

from muster_processes import PYTHON

__all__ = ["SCRIPTED", "define", "install"]

PROGRAM = Path(__file__).with_name("scripted_cli.py")
SCRIPTED = PROGRAM.with_name("scripted.toml").read_text()


def install(folder: Path, name: str = "scripted") -> Path:
    """Put the CLI into `folder` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f'#!/bin/sh\nexec {shlex.join([PYTHON, "-I", "-S", str(PROGRAM)])} "$@"\n')
    program.chmod(0o755)
    return program


def define(home: Path, name: str = "scripted", text: str = SCRIPTED) -> Path:
    """Write down in the config folder `home` what Muster is told of a provider."""
    file = home / "providers" / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file
