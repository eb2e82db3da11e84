"""Others put another version in the place of one whose configuration was rolled back, or put back; on an API server in memory."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from blocks.key_folder.key_file import state_key
from blocks.kubernetes.objects import taken_over
from blocks.kubernetes.objects.annotations import annotations_of, state_of
from tests.blocks.kubernetes.test_configuration_changes import Strategy, World
from tests.blocks.kubernetes.test_unreadable_configuration import SECRET, Cluster, cluster

__all__ = ["cluster"]


class Dated(World):
    """The same, of which the cluster says when it first had each pod template."""

    def __init__(self, cluster: Cluster, strategy: str) -> None:
        """Begin with the revision that is there."""
        super().__init__(cluster, strategy)
        self.date()

    def keep_revision(self) -> None:
        """Remember the pod template; one that came back is as old as it was."""
        super().keep_revision()
        self.date()

    def date(self) -> None:
        """Date what is new."""
        for (kind, _), one in self.cluster.objects.items():
            if kind == "ReplicaSet":
                one["metadata"].setdefault("creationTimestamp", f"2026-11-30T03:{self.revision:02}:00Z")

    async def release(self, version: str, *, takeover: bool = False) -> None:
        """Deploy a version to its end."""
        lease = await self.platform.acquire_lease("release", takeover=takeover)
        await self.deploy(version, lease)
        await self.platform.release_lease(lease)

    def put(self, version: str) -> None:
        """Set the version in the template as it is, so with the hash that is noted there."""
        template = copy.deepcopy(self.cluster.objects["Deployment", "web"]["spec"]["template"])
        for container in template["spec"]["containers"]:
            container["image"] = f"{container['image'].rpartition(':')[0]}:{version}"
        self.put_template(template)

    def put_template(self, template: dict[str, Any]) -> None:
        """Set the template."""
        live = self.cluster.objects["Deployment", "web"]
        self.cluster.put({**live, "spec": {**live["spec"], "template": template}})
        self.keep_revision()


@pytest.fixture
async def world(cluster: Cluster, strategy: str, monkeypatch: pytest.MonkeyPatch) -> Dated:
    """Give a workload on which 1.1 was released over 1.0, of which the Secret changed then."""
    monkeypatch.setattr(taken_over, "_written", {})
    found = Dated(cluster, strategy)
    await found.release("1.1")
    found.change()
    return found


@Strategy
@pytest.mark.parametrize("is_put_back", [False, True])
async def test_what_stood_is_what_ran_before_although_its_other_configuration_was_rolled_back(world: Dated, *, is_put_back: bool) -> None:
    """Once the Secret is put back it has the plain name that the other one had; one step further was one too far."""
    await world.release("1.1")
    before = str((await world.position())["previous"])
    await world.release(before, takeover=True)
    if is_put_back:
        world.cluster.put(SECRET)
    world.put("1.2")
    assert (await world.position())["previous"] == ("1.1" if is_put_back else before)


@Strategy
async def test_a_plain_name_that_an_earlier_version_noted_is_still_that_of_what_was_rolled_back(world: Dated) -> None:
    """It means any configuration but the one that stood."""
    await world.release("1.1")
    bad, before = world.cluster.objects["Deployment", "web"]["spec"]["template"], str((await world.position())["previous"])
    await world.release(before, takeover=True)
    live = world.cluster.objects["Deployment", "web"]
    noted = annotations_of(replace(state_of(live), rolled_back="1.1"), uid=live["metadata"]["uid"], key=state_key())
    kept = {name: text for name, text in (live["metadata"]["annotations"] | noted).items() if text}
    world.cluster.put({**live, "metadata": {**live["metadata"], "annotations": kept}})
    world.put_template(bad)
    world.put("1.2")
    assert (await world.position())["previous"] == before


@Strategy
async def test_others_who_go_back_with_the_hash_of_what_they_left_are_not_turned_round(world: Dated) -> None:
    """They set the version alone, so the template says that it was started with the present configuration."""
    await world.release("1.1")
    world.put("1.0")
    position = await world.position()
    assert (position["baseline"], position["previous"], position.get("replaced")) == ("1.0", None, "1.1")


@Strategy
async def test_others_who_go_back_two_configurations_are_not_turned_round(world: Dated) -> None:
    """As by `kubectl rollout undo --to-revision`, which brings the template with its hash."""
    first = world.cluster.objects["Deployment", "web"]["spec"]["template"]
    for _ in range(2):
        await world.release("1.1")
        world.change()
    world.put_template(first)
    position = await world.position()
    assert str(position["baseline"]).startswith("1.1+config.")
    assert position["previous"] is None
    assert str(position.get("replaced")).startswith("1.1+config.")
