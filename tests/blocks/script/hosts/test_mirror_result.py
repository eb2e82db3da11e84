"""What a host says of an ending is made what it must be."""

from __future__ import annotations

import pytest

from blocks.script.hosts.mirror import _result


@pytest.mark.parametrize(("said", "kept"), [(0, 0), (3, 3), (False, None), (True, None), ("0", None)])
def test_only_a_whole_number_is_an_exit_code(said: object, kept: int | None) -> None:
    """A boolean is not one, though it equals 0 or 1."""
    assert _result({"exit_code": said})["exit_code"] == kept
