"""What a rollout that fails says: the cluster's reason, and the last lines of the container that has them."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.errors import RolloutFailed
from blocks.kubernetes import rollout
from blocks.kubernetes.objects.diagnosis import Finding
from blocks.kubernetes.workload import Target
from blocks.platform import Lease
from tests.blocks.kubernetes.fake_cluster import FakeCluster

POD = "web-7d-x1"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["starting", "KeyError: 'DATABASE_URL'"], f"starting | KeyError: 'DATABASE_URL' (log of container app of pod {POD})"),
        ([], "exited with status 1. Fix"),
    ],
)
async def test_a_container_that_crashes_is_quoted_in_the_message_and_kept_in_the_evidence(
    monkeypatch: pytest.MonkeyPatch, lines: list[str], said: str
) -> None:
    """Who reads the ending alone sees why; a log that cannot be read leaves the cluster's own reason."""
    workload = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}}
    target = Target(cluster=FakeCluster(workload), workload="web")

    async def crashes(*_: Any, **__: Any) -> Finding:
        return Finding("crash/app", "CrashLoopBackOff: container app exited with status 1", 0, POD)

    async def words(*_: Any) -> list[str]:
        return lines

    monkeypatch.setattr(rollout, "watch_until", crashes)
    monkeypatch.setattr(rollout, "last_words", words)
    with pytest.raises(RolloutFailed) as caught:
        await rollout.await_rollout(
            target, workload, kind="Deployment", version="1.1", lease=Lease(owner="a", generation=1), is_new=bool, timeout_seconds=1
        )
    assert said in str(caught.value)
    assert list(caught.value.evidence) == lines
