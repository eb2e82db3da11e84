"""How two versions lie to each other, and that a release changes something."""

import pytest

from tasks.rules.evidence.change_log import ChangeLog, Commit, Direction, direction_of, judge_changes


@pytest.mark.parametrize(
    ("old", "new", "base", "direction"),
    [
        (None, "n", None, "first"),
        ("n", "n", "n", "same"),
        ("o", "n", "o", "upgrade"),
        ("o", "n", "n", "downgrade"),
        ("o", "n", "x", "sideways"),
        ("o", "n", None, "sideways"),
    ],
)
def test_two_versions_lie_to_each_other_in_one_way(old: str | None, new: str, base: str | None, direction: Direction) -> None:
    """The newest common commit tells an upgrade from a downgrade."""
    assert direction_of(from_commit=old, to_commit=new, base=base) == direction


def test_a_release_without_a_change_is_refused_unless_allowed() -> None:
    """The refusal names both versions and the three ways on."""
    empty = ChangeLog("1.0", "1.1", "same", ())
    assert "between 1.0 and 1.1" in str(judge_changes(empty, allow_empty=False))
    assert judge_changes(empty, allow_empty=True) is None
    assert judge_changes(ChangeLog("1.0", "1.1", "upgrade", (Commit("a", "b", 1, "c"),)), allow_empty=False) is None
