"""Whose a file of Windows is, by its owner and access list in the system's words (SDDL)."""

from __future__ import annotations

import pytest

from relay.wire.acl import says_private

USER = "S-1-5-21-1-2-3-1001"
OTHER = "S-1-5-21-1-2-3-1002"


@pytest.mark.parametrize(
    "described",
    [
        f"O:{USER}D:P(A;OICI;FA;;;{USER})",
        f"O:{USER}D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)",
        f"O:BAG:DUD:PAI(A;;FA;;;{USER})",  # made by an administrator with elevated rights
        "O:LAD:P(A;OICI;FA;;;LA)",  # the administrator that Windows is born with
        f"O:{USER}D:P(D;;FA;;;WD)(A;;FA;;;{USER})",
    ],
)
def test_a_file_of_a_user_and_of_the_machine_is_private(described: str) -> None:
    assert says_private(described, USER)


@pytest.mark.parametrize(
    "described",
    [
        f"O:{USER}D:(A;;FA;;;{USER})(A;;0x1200a9;;;BU)",
        f"O:{USER}D:P(A;;FA;;;{USER})(XA;;FR;;;WD;(Member_of {{SID(BA)}}))",
        f"O:{OTHER}D:P(A;;FA;;;{USER})",
        f"O:{USER}D:P(A;;FA;;;{OTHER})",
        f"O:{USER}D:NO_ACCESS_CONTROL",
        f"O:{USER}D:P",
        f"O:{USER}",
    ],
)
def test_a_file_that_another_may_open_or_owns_is_not(described: str) -> None:
    assert not says_private(described, USER)
