"""A release whose process is killed, at a few points or, in the long campaign, at each: it ends well, and each effect happens once."""

from __future__ import annotations

import os
import time
from itertools import count
from typing import NamedTuple

import pytest

from tests.flows.harness import Ran, Stage, check_closed, check_well
from tests.flows.processes import Traffic

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

_minor = count(1)


class Course(NamedTuple):
    """What is released, and how it ends: the version's mode, the outcome, the most points there may be."""

    mode: str
    outcome: str
    state: str
    points: int


GOOD = Course("", "deployed", "Deployed", 119)
BAD = Course("-errors", "rolled_back", "RolledBack", 137)
FEW = [(GOOD, "LocalClient.order prepare"), (GOOD, "task watch step"), (BAD, "task start clock"), (BAD, "LocalClient.order abort")]
USUAL = FEW[-1]  # walked with every change, the others with the campaign


async def release_and_check(theatre: Stage, visitors: Traffic, course: Course, *, kill_at: int | str = 0) -> Ran:
    """Release a new version, die at a point, let the keeper see to it, and check everything that was promised."""
    stage = theatre
    previous = str((await stage.platform("production").current())["baseline"])
    await stage.reset(previous)
    version = stage.tag(f"2.{next(_minor)}{course.mode}")
    before = {name: stage.started(name) for name in ("staging", "production")}
    began = time.time()
    ran = await stage.release_through(version, kill_at=kill_at)
    serves = previous if course.outcome == "rolled_back" else version
    await check_closed(stage, ran, outcome=course.outcome)
    await check_well(stage, version=serves)
    assert ran.state == course.state
    # Staging is promoted before production fails, so its rollback starts the previous version again.
    extra = {"staging": 2 if course.outcome == "rolled_back" else 1, "production": 1}
    assert {name: stage.started(name) - before[name] for name in before} == extra
    assert 0 not in visitors.since(began)
    if course is GOOD:
        assert set(visitors.since(began)) == {200}
    return ran


FIRST_POINT = 2  # before it the run is not even Running: a worker that lives starts it, and the keeper one that is handed out
EVERY = int(os.environ.get("SHIPWAY_EVERY", "9"))  # 1 walks every point, which takes an hour or two


@pytest.mark.faults
@pytest.mark.parametrize("course", [GOOD, BAD], ids=["good", "bad"])
async def test_the_walk_knows_every_point(theatre: Stage, visitors: Traffic, course: Course) -> None:
    """An undisturbed release passes fewer points than the campaign walks."""
    ran = await release_and_check(theatre, visitors, course)
    assert len(ran.points) <= course.points, ran.points


@pytest.mark.parametrize(
    ("course", "point"),
    [
        pytest.param(*one, marks=() if one == USUAL else pytest.mark.faults, id=f"{one[1]} {one[0].outcome}".replace(" ", "-"))
        for one in FEW
    ],
)
async def test_a_release_killed_in_the_middle_ends_well(theatre: Stage, visitors: Traffic, course: Course, point: str) -> None:
    """The next attempt takes over what the killed one left, and does nothing twice."""
    ran = await release_and_check(theatre, visitors, course, kill_at=point)
    assert ran.points[-1].partition(" ")[2].startswith(point)
    if point == "task start clock":  # the counts are those of before the shift, so what the canary does until then is judged
        names = [one.partition(" ")[2] for one in ran.points if "begin watch" in one or "shift traffic" in one]
        assert names[-2:] == ["task begin watch", "task shift traffic"]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("course", "number"),
    [(course, number) for course in (GOOD, BAD) for number in range(FIRST_POINT, course.points + 1, EVERY)],
    ids=[f"{course.outcome}-{number}" for course in (GOOD, BAD) for number in range(FIRST_POINT, course.points + 1, EVERY)],
)
async def test_a_release_killed_anywhere_ends_well(theatre: Stage, visitors: Traffic, course: Course, number: int) -> None:
    """There is no point between two effects, or inside one, at which a death does harm."""
    await release_and_check(theatre, visitors, course, kill_at=number)
