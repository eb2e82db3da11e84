"""Others may annotate the workload: what they write there neither chooses a version, nor hides one, nor keeps a rollback from its work."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Refused, Tampered
from tests.cluster.cluster_world import Gateway, World
from tests.cluster.scene import FIRST, SECOND, THIRD, Scene, raise_scene

pytestmark = [pytest.mark.cluster, pytest.mark.attack, pytest.mark.timeout(180)]
FORGED = {"canary": "x", "previous": THIRD, "owner": "x", "generation": "9" * 26, "percent": "25", "phase": "promoting"}


@pytest.fixture
async def scene(world: World, gateway: Gateway, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Run the first version, on a machine that has an approval key."""
    from blocks.key_folder.key_file import create_key  # noqa: PLC0415

    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(tmp_path / "keys" / "approvals.key")
    return await raise_scene(world, gateway, request.param, replicas=2)


EVERY = pytest.mark.parametrize("scene", ["canary", "rolling"], indirect=True)


async def annotate(scene: Scene, **values: str | None) -> None:
    """Annotate the workload as a neighbour may; None removes."""
    body = {"metadata": {"annotations": {f"shipway.dev/{name}": value for name, value in values.items()}}}
    path = scene.world.cluster.path("Deployment", "podinfo")
    await scene.world.cluster.call("PATCH", path, body=body, content_type="application/merge-patch+json")


async def release(scene: Scene) -> None:
    """Release the second version."""
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, 100, version=SECOND)
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)


async def roll_back(scene: Scene, version: str) -> None:
    """Return to a version as a rollback does."""
    lease = await scene.platform.acquire_lease("rollback", takeover=True)
    await scene.bring(lease, 100, version=version)
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)


@EVERY
@pytest.mark.parametrize("forged", [{"canary": "x"}, {"previous": THIRD}, FORGED], ids=["canary", "previous", "all"])
async def test_a_forged_state_is_not_believed_and_the_cluster_says_what_ran_before(scene: Scene, forged: dict[str, str]) -> None:
    """A canary that does not exist once made a rollback succeed without any effect; a forged version was once started."""
    await release(scene)
    await annotate(scene, **forged)
    lease: Any = await scene.platform.acquire_lease("rollback", takeover=True)
    position = await scene.platform.current()
    assert (position["baseline"], position["canary"], position["previous"]) == (SECOND, None, FIRST)
    await scene.platform.release_lease(lease)
    await roll_back(scene, FIRST)
    assert (await scene.platform.current())["baseline"] == FIRST


@EVERY
async def test_a_lease_that_is_forged_away_in_the_middle_stops_a_release_and_is_taken_again_by_a_rollback(scene: Scene) -> None:
    """Nothing goes forward by a state that others changed; the rollback finds the canary without its annotations."""
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, 100 if scene.platform.strategy == "rolling" else 50, version=SECOND)
    await annotate(scene, owner="x", canary=None, baseline=None, previous=THIRD)
    with pytest.raises(Tampered, match="not as this installation wrote them"):
        await scene.platform.promote(lease)
    with pytest.raises(Refused, match="owned by x"):
        await scene.platform.acquire_lease("another release")
    lease = await scene.platform.acquire_lease("rollback", takeover=True)
    if scene.platform.strategy == "canary":
        assert (await scene.platform.current())["canary"] == SECOND
        await scene.platform.abort(lease)
    else:
        await scene.bring(lease, 100, version=FIRST)
        await scene.platform.promote(lease)
    position = await scene.platform.current()
    assert (position["baseline"], position["canary"]) == (FIRST, None)


@EVERY
async def test_a_workload_without_a_seal_is_released_as_before(scene: Scene) -> None:
    """As one of an earlier version of Shipway, or whose annotations were removed."""
    await release(scene)
    await annotate(scene, seal=None)
    await roll_back(scene, FIRST)
    await annotate(scene, **{"seal": None, "generation": None, "previous": None, "rolled-back": None})
    await release(scene)
    position = await scene.platform.current()
    assert (position["baseline"], position["previous"]) == (SECOND, FIRST)


@EVERY
@pytest.mark.parametrize("way", ["another owner", "an earlier state"])
async def test_a_rollback_comes_through_whoever_overwrites_its_state_each_time(scene: Scene, way: str) -> None:
    """The neighbour waits for the rollback's owner to appear and patches at once, again and again; twenty such patches end nothing."""
    await release(scene)
    lease = await scene.platform.acquire_lease("an earlier rollback", takeover=True)
    earlier = await annotations(scene)
    await scene.platform.release_lease(lease)
    await annotate(scene, **dict.fromkeys(earlier, None))
    patches: list[str] = []

    async def overwrite() -> None:
        while True:
            found = await annotations(scene)
            if found.get("owner") not in {None, "evil", "an earlier rollback"}:
                await annotate(scene, **({"owner": "evil"} if way == "another owner" else earlier))
                patches.append(found["owner"])
            await asyncio.sleep(0.02)

    neighbour = asyncio.create_task(overwrite())
    try:
        await roll_back(scene, FIRST)
    finally:
        neighbour.cancel()
        await asyncio.gather(neighbour, return_exceptions=True)
    assert len(patches) >= 3
    assert (await scene.platform.current())["baseline"] == FIRST


async def annotations(scene: Scene) -> dict[str, str]:
    """Read Shipway's annotations of the workload, by their short names."""
    found = await scene.world.cluster.call("GET", scene.world.cluster.path("Deployment", "podinfo"))
    return {name.partition("/")[2]: value for name, value in found["metadata"]["annotations"].items() if name.startswith("shipway.dev/")}
