"""A workload whose pods Argo Rollouts runs is named as such, and not deployed beside its controller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from blocks.errors import BadInput, ShipwayError, Unreachable
from blocks.kubernetes.objects.annotations import State, annotations_of
from blocks.kubernetes.snapshot import expect_releasable
from blocks.kubernetes.workload import Target
from tests.blocks.kubernetes.fake_cluster import FakeCluster, template, workload

OWN = {"kind": "Rollout", "metadata": {"name": "web"}, "spec": {"template": template("1.0")}}
REFERRING = {"kind": "Rollout", "metadata": {"name": "web-rollout"}, "spec": {"workloadRef": {"kind": "Deployment", "name": "web"}}}
OTHER = {"kind": "Rollout", "metadata": {"name": "shop"}, "spec": {"workloadRef": {"kind": "Deployment", "name": "shop"}}}


FORBIDDEN = BadInput("the account may not list rollouts", field="config", fix="Add a rule")


class WithoutRollouts(FakeCluster):
    """Gives no Rollouts, for this reason."""

    why: ShipwayError = FORBIDDEN

    async def list(self, kind: str, *, labels: str = "", fields: str = "") -> list[dict[str, Any]]:
        """Refuse."""
        if kind == "Rollout":
            raise self.why
        return await super().list(kind, labels=labels, fields=fields)


async def test_a_rollout_of_the_workloads_name_is_named() -> None:
    """There is no such Deployment: to apply its manifest, as is advised for others, would make a second service of it."""
    with pytest.raises(BadInput, match="Argo Rollouts runs web in shop, as the Rollout web") as refused:
        await Target(FakeCluster(OTHER, OWN), "web").read()
    assert "Apply its manifest" not in str(refused.value)


async def test_a_rollout_that_refers_to_the_workload_is_named() -> None:
    """The Deployment is there, and its pods do not serve, or not alone."""
    deployment = workload(template("1.0"))
    with pytest.raises(BadInput, match="as the Rollout web-rollout"):
        await expect_releasable(Target(FakeCluster(deployment, REFERRING), "web"))
    await expect_releasable(Target(FakeCluster(deployment, OTHER), "web"))


@pytest.mark.parametrize("why", [FORBIDDEN, Unreachable("no answer")])
async def test_rollouts_that_cannot_be_read_stop_no_release(why: ShipwayError) -> None:
    """Most clusters have none, and most accounts no right to them."""
    cluster = WithoutRollouts(workload(template("1.0")))
    cluster.why = why
    await expect_releasable(Target(cluster, "web"))
    with pytest.raises(BadInput, match="has no Deployment shop"):
        await replace(Target(cluster, "web"), workload="shop").read()


async def test_a_rollback_goes_on_beside_a_rollout() -> None:
    """It was released before the Rollout came."""
    state = State(owner="run-1", generation=2, rollback="yes")
    wanted = annotations_of(state, uid="u", key=b"")
    deployment = workload(template("1.0"), annotations={name: value for name, value in wanted.items() if value})
    await expect_releasable(Target(FakeCluster(deployment, REFERRING), "web"))
