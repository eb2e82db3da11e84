"""What counts as having overtaken a rollback that is tried again, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.rules.rollout.left import Left
from tasks.rules.rollout.overtaken import is_overtaken_by, put_there_since
from tasks.rules.rollout.rollback import RollbackChoice

AT = datetime(2026, 11, 30, 3, 10, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
TO_V0 = RollbackChoice("redeploy", "1.0", "")
THEN = {"baseline": "2.0", "canary": None, "previous": "1.0"}
OTHER_WAY = Left("1.0", "0.9", "r2", LATER)


@pytest.mark.parametrize(
    ("left", "of_rollback", "yes"),
    [
        (OTHER_WAY, True, True),
        (OTHER_WAY, False, True),
        (OTHER_WAY._replace(run="r1"), True, False),
        (OTHER_WAY._replace(at=AT - timedelta(minutes=5)), True, False),
        (OTHER_WAY._replace(at=None), True, False),
        (Left("2.0", "1.0", "r2", LATER), True, False),
        (Left("2.0", "1.0+config.a", "r2", LATER), True, False),
        (Left("2.1", "2.0", "rel", LATER), False, False),
        (Left("1.0", "2.0", "r2", LATER), True, True),
        (None, False, False),
    ],
    ids=[
        "another way", "a release's own", "its own", "an older one", "not known when", "the same way", "with its configuration",
        "a release over it was aborted", "a person turned it round", "nothing was left",
    ],
)  # fmt: skip
def test_another_rollback_overtakes_one_if_it_chose_last_and_went_another_way(left: Left | None, *, of_rollback: bool, yes: bool) -> None:
    """A release that was aborted over what is to be left does not."""
    assert is_overtaken_by(left, TO_V0, THEN, run="r1", at=AT, of_rollback=of_rollback) is yes


@pytest.mark.parametrize(
    ("baseline", "canary", "found"),
    [
        ("2.0", None, None),
        ("2.0", "1.0", None),
        ("2.0", "2.1", None),
        ("2.0+config.a", "2.1", None),
        ("1.0", None, None),
        ("1.0+config.a", None, None),
        ("1.0", "3.0", "3.0"),
        ("3.0", None, "3.0"),
        ("3.0", "3.1", "3.0"),
        (None, None, None),
    ],
)
def test_a_version_that_was_not_there_and_is_not_brought_came_since(baseline: str | None, canary: str | None, found: str | None) -> None:
    """Whatever its configuration; beside what is to be left it does not count."""
    assert put_there_since({"baseline": baseline, "canary": canary}, TO_V0, THEN) == found


def test_an_abort_leaves_the_canary_alone_that_came_since() -> None:
    """The one that it was to remove, or none, does not stop it."""
    choice, then = RollbackChoice("abort", "1.0", ""), {"baseline": "1.0", "canary": "2.0"}
    found = [put_there_since({"baseline": "1.0", "canary": canary}, choice, then) for canary in ("2.0", None, "3.0")]
    assert found == [None, None, "3.0"]


def test_of_a_configuration_alone_what_is_to_be_left_serves_still() -> None:
    """Both have one plain name."""
    choice, then = RollbackChoice("redeploy", "2.0+config.a", ""), {"baseline": "2.0", "canary": None, "previous": None}
    assert put_there_since({"baseline": "2.0", "canary": "2.1"}, choice, then) is None
    assert put_there_since({"baseline": "2.0+config.a", "canary": "2.1"}, choice, then) == "2.1"
