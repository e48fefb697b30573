"""What is made after the gaps between objects are filled lies in new memory."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import spawners

pytestmark = [
    pytest.mark.needs("linux"),
    pytest.mark.skipif(
        not sysconfig.get_config_var("WITH_PYMALLOC") or bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        reason="this Python does not keep its objects in pools",
    ),
]

SIZES = range(48, 513, 16)
PROGRAM = f"""
import sys
sys.path.insert(0, sys.argv[1])
from spawners.keeper.sharing import BYTES_HEAD, POOL, POOL_HEAD, fill_gaps

def begin_a_pool():
    return [size for size in {SIZES!r} if id(bytes(size - BYTES_HEAD)) % POOL == POOL_HEAD]

objects = [bytes(size) for size in range(15, 480) for _ in range(20)]
del objects[::2]
before = len(begin_a_pool())
filling = fill_gaps()
print(before, len(begin_a_pool()))
"""


def test_the_next_object_of_nearly_every_size_begins_a_pool() -> None:
    folder = str(Path(spawners.__file__).parents[1])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONMALLOC"}
    words = [sys.executable, "-S", "-c", PROGRAM, folder]
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
    before, after = map(int, said.split())
    assert before < len(SIZES) // 4
    assert after > len(SIZES) * 3 // 4
