"""A platform that says that a newer owner acts, while this very run owns the environment: someone must see to it, and people are told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from prefect.exceptions import Abort

from blocks.errors import Permanent, Superseded
from blocks.outside_text import as_reason
from blocks.platform import Lease
from flows.lifecycle import frame
from flows.lifecycle.acting import acting_for, note_lease
from flows.rollout import retake
from tests.tasks.fake_platform import FakePlatform

FALSE = Superseded("web-4: generation 2 may not act any more, 1000000000 does")
PHASE: Any = SimpleNamespace(owner="r1", plan=SimpleNamespace(service="shop"))


def giving(what: Any) -> Any:
    """Give a stand-in that returns a value."""

    async def give(*_: Any, **__: Any) -> Any:
        return what

    return give


@pytest.mark.parametrize(("newer", "wanted"), [(False, Permanent), (True, Superseded)])
async def test_a_rollback_that_has_the_newest_lease_fails_and_one_that_has_not_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
    newer: bool,  # noqa: FBT001 - a case
    wanted: type[Exception],
) -> None:
    """What has failed is told; a newer copy of it goes on, and closes the record."""
    platform = FakePlatform()
    monkeypatch.setattr(retake, "retried", lambda work: work.fn)

    async def act(_lease: Lease, _number: int) -> None:
        if newer:
            await platform.acquire_lease("r1", takeover=True)
        raise FALSE

    with pytest.raises(wanted) as caught:
        await retake.with_lease(PHASE, platform, reason=as_reason("bad"), act=act)
    assert type(caught.value) is wanted
    assert FALSE.args[0] in str(caught.value)


@pytest.mark.parametrize("newer", [False, True])
async def test_a_release_that_has_the_newest_lease_fails_and_is_rolled_back(monkeypatch: pytest.MonkeyPatch, newer: bool) -> None:  # noqa: FBT001
    """It is not left open for another process, which there is none of; after a wait it has no lease of staging, where it is done."""
    platform, staging = FakePlatform(), FakePlatform()
    await staging.acquire_lease("r1", takeover=True)

    async def of_each(_plan: Any, environment: str) -> FakePlatform:
        return staging if environment == "staging" else platform

    stand_ins = {
        "_was_stopped": giving(what=False), "closing_entry": giving(None), "begin_phase": giving(PHASE), "platform_of": of_each,
        "environments_reversed": lambda _: ["production", "staging"],
    }  # fmt: skip
    for name, value in stand_ins.items():
        monkeypatch.setattr(frame, name, value)
    with acting_for("r1"):
        note_lease("production", await platform.acquire_lease("r1", takeover=True))
        if newer:
            await platform.acquire_lease("r1")
            with pytest.raises(Abort, match="another process acts for this run now"):
                await frame._who_took_over("r1", plan="plan.yaml", error=FALSE)
        else:
            assert (await frame._who_took_over("r1", plan="plan.yaml", error=FALSE)).name == "failed"
