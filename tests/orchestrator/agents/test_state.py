"""The table of an agent's life."""

from __future__ import annotations

import pytest

from orchestrator.agents.state import STEPS, InvalidStep, check_step
from relay.wire.agents import ENDED, Status


def test_every_status_has_its_row() -> None:
    assert set(STEPS) == set(Status)


@pytest.mark.parametrize("ended", sorted(ENDED - {Status.LOST}))
@pytest.mark.parametrize("following", sorted(Status))
def test_an_ending_never_changes(ended: Status, following: Status) -> None:
    with pytest.raises(InvalidStep, match=f"{ended} cannot become {following}"):
        check_step(ended, following)


def test_only_evidence_of_the_program_itself_corrects_lost() -> None:
    assert STEPS[Status.LOST] == {
        Status.RUNNING, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.TIMEOUT,
    }  # fmt: skip


def test_rejected_is_only_for_what_never_ran() -> None:
    assert [status for status, following in STEPS.items() if Status.REJECTED in following] == [Status.QUEUED]


def test_every_live_status_can_end() -> None:
    for status in set(Status) - ENDED:
        assert STEPS[status] & ENDED
