"""What real CLIs have said, replayed: however it is cut, the same is heard and the same is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from streams import SIZES
from talking import tell

from spawners.providers.base import ApprovalMode, Opening
from spawners.providers.registry import BUILTIN

TALKS = sorted((Path(__file__).parents[2] / "golden" / "providers").glob("*/*.talk"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: f"{talk.parent.name}/{talk.stem}")
def test_a_recorded_talk_is_understood_in_pieces_of_any_size(talk: Path, size: int) -> None:
    wanted = [line.split(" ", 1) for line in talk.read_text().split("\n")[:-1]]
    first, *entries = (json.loads(text) if mark == "!" else (mark, text) for mark, text in wanted)
    dialogue = BUILTIN.get(talk.parent.name.partition("-")[0]).dialogue(opening(first["opening"]))
    heard, said, pending = [], dialogue.take_outgoing(), b""
    for entry in [*entries, {"do": "nothing"}]:
        if isinstance(entry, tuple):
            pending += f"{entry[1]}\n".encode() if entry[0] == "<" else b""
            continue
        for start in range(0, len(pending), size):
            heard += dialogue.feed(pending[start : start + size])
            said += dialogue.take_outgoing()
        pending = b""
        tell(dialogue, entry)
        said += dialogue.take_outgoing()

    assert [str(event) for event in heard] == [text for mark, text in wanted if mark == "="]
    assert said.decode().split("\n")[:-1] == [text for mark, text in wanted if mark == ">"]


def opening(fields: dict[str, Any]) -> Opening:
    return Opening(**{**fields, "approval_mode": ApprovalMode(fields["approval_mode"])})


def test_there_are_talks_of_every_version_that_is_said_to_be_proven() -> None:
    proven = {f"{provider.name}-{provider.proven}" for provider in BUILTIN if provider.proven}

    assert {talk.parent.name for talk in TALKS} == proven
