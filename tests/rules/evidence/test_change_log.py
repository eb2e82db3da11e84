"""What a version brings and takes back is shown plainly."""

import pytest

from tasks.rules.evidence.change_log import ChangeLog, Commit, Direction, direction_of, judge_changes, render_changes


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


def test_a_subject_cannot_write_markup() -> None:
    """Links, pictures, tables and HTML in a commit stay text."""
    hostile = Commit("a" * 40, "Eve <eve@x>", 0, "[click](http://evil) | ![x](y) <script>`a`\nsecond")
    row = next(line for line in render_changes(ChangeLog(None, "1", "first", (hostile,))).splitlines() if line.startswith("| `"))
    assert row.count("|") == 5
    assert not any(mark in row for mark in ("](", "<", ">", "http:", "`a`"))


def test_long_lists_are_counted() -> None:
    """What is not shown is said."""
    commits = tuple(Commit(f"{i:040}", "Ada", 10**18, "s") for i in range(60))
    text = render_changes(ChangeLog("1", "2", "sideways", commits, commits, more=True))
    assert text.count("and 10 more") == 2
    assert "cut off at 500" in text
    assert "Takes back 60 commits" in text
