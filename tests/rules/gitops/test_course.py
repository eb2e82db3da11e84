"""What the state of an engine means for whoever follows a commit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.rules.gitops.course import State, Step, next_step

DONE = State(
    revision="c1",
    synced=True,
    operation=None,
    automatic=True,
    fault="",
    temporary=False,
    waiting="",
    contained=True,
    confirmed=False,
    asked=False,
    lost=False,
)


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({}, "done"),
        ({"automatic": False}, "done"),
        ({"fault": "degraded", "temporary": True}, "done"),
        ({"operation": "c1"}, "wait"),
        ({"operation": "c0", "fault": "the sync failed"}, "wait"),
        ({"contained": False}, "refresh"),
        ({"contained": False, "operation": "c0"}, "refresh"),
        ({"contained": False, "fault": "the sync failed"}, "refresh"),
        ({"contained": False, "lost": True}, "lost"),
        ({"contained": False, "lost": True, "operation": "c0", "fault": "the sync failed"}, "lost"),
        ({"lost": True}, "done"),
        ({"synced": False}, "refresh"),
        ({"synced": False, "waiting": "sync window"}, "wait"),
        ({"synced": False, "operation": "c1", "waiting": "sync window"}, "wait"),
        ({"synced": False, "fault": "the sync failed"}, "failed"),
        ({"synced": True, "fault": "a hook failed"}, "failed"),
        ({"synced": False, "fault": "connection refused", "temporary": True}, "refresh"),
        ({"synced": False, "automatic": False}, "sync"),
        ({"synced": False, "automatic": False, "waiting": "sync window"}, "wait"),
        ({"synced": False, "automatic": False, "asked": True}, "refresh"),
        ({"synced": False, "automatic": False, "asked": True, "fault": "the sync failed"}, "failed"),
        ({"automatic": False, "fault": "the sync of another release failed"}, "sync"),
        ({"revision": "", "contained": None, "synced": False}, "refresh"),
        ({"revision": "", "contained": None, "synced": False, "fault": "no such path"}, "refresh"),
        ({"revision": "", "contained": None, "synced": False, "fault": "no such path", "confirmed": True}, "failed"),
        ({"revision": "", "contained": None, "synced": False, "fault": "no such host", "temporary": True, "confirmed": True}, "refresh"),
    ],
)
def test_the_next_step_follows_from_what_the_engine_says(change: dict[str, object], step: Step) -> None:
    """Done is the commit or a descendant, in sync, with no operation; a fault counts if it is of this commit and lasts."""
    assert next_step(replace(DONE, **change)) == step  # type: ignore[arg-type]
