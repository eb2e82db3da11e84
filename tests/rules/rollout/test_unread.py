"""An environment that cannot be read keeps no other from its rollback, and no release from being stopped."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.errors import BadInput, Refused, RolloutFailed, Superseded, Temporary, Unreachable, WorldMoved
from tasks.rules.rollout.unread import answers_of, ends_releases

RUNS = {"baseline": "2.0", "canary": None}
NOTHING = {"baseline": None, "canary": None}
LOST, REFUSED, MOVED = BadInput("401", field="config", fix="Give it a token."), Refused("no"), WorldMoved("deleted")
AWAY, NEWER, BUG = Unreachable("away"), Superseded("newer"), KeyError("x")


@pytest.mark.parametrize(
    ("eu", "us", "read", "fault"),
    [
        (RUNS, RUNS, "eu us", None),
        (RUNS, AWAY, "eu", None),
        (RUNS, LOST, "eu", None),
        (REFUSED, RUNS, "us", None),
        (RUNS, MOVED, "eu", None),
        (RUNS, NEWER, "eu", NEWER),
        (RUNS, BUG, "eu", BUG),
        (LOST, NEWER, "", NEWER),
        (LOST, AWAY, "", AWAY),
        (AWAY, LOST, "", AWAY),
        (LOST, MOVED, "", LOST),
        (NOTHING, AWAY, "eu", None),
        (NOTHING, LOST, "eu", LOST),
        (NOTHING, NOTHING, "eu us", None),
    ],
)
def test_an_environment_that_cannot_be_read_is_left_out_while_another_one_can_be_rolled_back(
    eu: Any, us: Any, read: str, fault: BaseException | None
) -> None:
    """For whatever reason; but what a newer run sees to, and what no one foresaw, ends it. Else it is tried again if that may help."""
    found, error = answers_of({"eu": eu, "us": us})
    assert (" ".join(found), error) == (read, fault)


def test_a_platform_that_refuses_to_be_read_does_not_refuse_the_request() -> None:
    """Releases must stop all the same."""
    _, error = answers_of({"production": REFUSED})
    assert error is not None
    assert ends_releases(error)
    assert str(error) == "no"


@pytest.mark.parametrize(
    ("error", "yes"),
    [
        (Temporary("x"), True),
        (AWAY, True),
        (LOST, True),
        (MOVED, True),
        (RolloutFailed("x"), True),
        (REFUSED, False),
        (NEWER, False),
        (BUG, False),
    ],
)
def test_releases_stop_unless_the_rollback_itself_is_refused(error: BaseException, *, yes: bool) -> None:
    """A bad version must not go on because a platform's credentials are void."""
    assert ends_releases(error) is yes
