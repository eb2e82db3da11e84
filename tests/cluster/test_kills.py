"""A process killed between any two writes to a cluster, and inside each: the next one finishes or goes back, nothing stays half-way."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cluster.cluster_world import Gateway, Visitor, World
from tests.cluster.scene import FIRST, SECOND, Scene, raise_scene
from tests.forking import Forking, ended, fork, forking

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
HERE = Path(__file__).parent
EVERY = int(os.environ.get("SHIPWAY_EVERY", "9"))  # 1 walks every point, which takes hours
Act = list[Any]
_numbers = count(1)


class Course(NamedTuple):
    """What the first process does: the strategy, whether it ends by an abort, the most points there may be, with a few conflicts."""

    strategy: str
    aborts: bool
    points: int

    def acts(self, scene: Scene) -> list[Act]:
        """Name the acts."""
        last = [["abort"]] if self.aborts else [["promote"]]
        return [["prepare", SECOND], *(["shift", share] for share in scene.shares), *last, ["release_lease"]]


COURSES = [
    Course("canary+route", aborts=False, points=48),
    Course("canary", aborts=False, points=46),
    Course("blue-green", aborts=False, points=42),
    Course("rolling", aborts=False, points=24),
    Course("canary+route", aborts=True, points=44),
    Course("canary", aborts=True, points=40),
    Course("blue-green", aborts=True, points=36),
    Course("rolling", aborts=True, points=24),
]
POINTS = [(course, number) for which, course in enumerate(COURSES) for number in range(1 + which % EVERY, course.points + 1, EVERY)]


@dataclass
class Acting:
    """The process that forks those who act."""

    process: Forking
    folder: Path

    async def act(
        self, scene: Scene, acts: list[Act], *, owner: str, takeover: bool = False, kill_at: int = 0
    ) -> tuple[list[str], list[str]]:
        """Act to the end of the process; gives the points that it passed, and the acts that it ended."""
        writes = self.folder / f"{next(_numbers)}.writes"
        done = writes.with_suffix(".done")
        fields = json.loads(scene.platform.model_dump_json(exclude={"config"}))
        request = {"platform": fields, "owner": owner, "takeover": takeover, "acts": acts, "kill_at": kill_at}
        await ended(fork(self.process, {**request, "writes": str(writes), "done": str(done)}), timeout_seconds=150)
        found = [file.read_text().splitlines() if file.exists() else [] for file in (writes, done)]
        return found[0], found[1]


@pytest.fixture(scope="module")
def acting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acting]:
    """Start the forking process, and end it with the tests."""
    with forking(HERE / "acting.py") as process:
        yield Acting(process, tmp_path_factory.mktemp("acts"))


@contextlib.asynccontextmanager
async def watched(scene: Scene) -> Any:
    """Let a visitor come who must not notice anything, where a second revision stands beside the first."""
    visitor = Visitor(scene.url, per_second=10)
    async with visitor.visiting():
        yield
    if scene.platform.strategy != "rolling":
        assert visitor.bad == []


async def walk(acting: Acting, scene: Scene, course: Course, number: int, *, forward: bool) -> None:
    """Die at a point, let the next process go on or go back, and check everything that was promised."""
    acts = course.acts(scene)
    async with watched(scene):
        points, done = await acting.act(scene, acts, owner="run", kill_at=number)
        ended = len(done) == len(acts)  # the course met fewer conflicts than there is room for
        assert len(points) == number or ended, f"died elsewhere, after {done}: {points}"
        if forward and not ended:  # the same run again, which skips what it remembers
            _, after = await acting.act(scene, acts[len(done) :], owner="run")
            assert len(done) + len(after) == len(acts)
        elif not ended:
            position = await scene.platform.current()
            back = [["abort"]] if position["canary"] else []
            _, after = await acting.act(scene, [*back, ["release_lease"]], owner="rollback", takeover=True)
            assert len(after) == len(back) + 1
    position = await scene.platform.current()
    if forward or ended:
        assert position["baseline"] == (FIRST if course.aborts else SECOND)
    assert position["baseline"] in {FIRST, SECOND}
    await scene.check_well(str(position["baseline"]))


def name_of(course: Course) -> str:
    """Name a course."""
    return f"{course.strategy}-{'abort' if course.aborts else 'promote'}"


@pytest.mark.faults
@pytest.mark.parametrize("course", COURSES, ids=name_of)
async def test_the_walk_knows_every_write(world: World, gateway: Gateway, acting: Acting, course: Course) -> None:
    """An undisturbed course passes no more points than the campaign walks, and leaves everything well."""
    scene = await raise_scene(world, gateway, course.strategy)
    acts = course.acts(scene)
    points, done = await acting.act(scene, acts, owner="run")
    assert len(done) == len(acts)
    assert len(points) <= course.points, points
    await scene.check_well(FIRST if course.aborts else SECOND)


@pytest.mark.faults
@pytest.mark.parametrize(("course", "number"), POINTS, ids=[f"{name_of(course)}-{number}" for course, number in POINTS])
async def test_a_process_killed_at_any_write_leaves_nothing_half_way(
    world: World, gateway: Gateway, acting: Acting, course: Course, number: int
) -> None:
    """Whoever comes next, the same run again or a rollback, brings the service to one version, from the owner's objects alone."""
    scene = await raise_scene(world, gateway, course.strategy)
    await walk(acting, scene, course, number, forward=(number // EVERY + COURSES.index(course)) % 2 == 0)
