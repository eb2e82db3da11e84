"""A rollback while the storage of results and records does not answer: it is done and verified; only its record is closed later."""

from __future__ import annotations

import pytest

from blocks.key_folder.kept_files import kept_names
from tests.flows.harness import FIRST, Stage, check_closed, check_well
from tests.flows.processes import Traffic

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.timeout(300)]


class Away:
    """The storage, whose calls all fail while it is away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take its place in this process."""
        from tasks.record.objects import Folder, StorageFault  # noqa: PLC0415 - importing Prefect costs seconds

        self.is_away = True

        def in_its_place(name: str) -> None:
            real = getattr(Folder, name)

            async def call(*given: object, **named: object) -> object:
                if self.is_away:
                    raise StorageFault("stale file handle")
                return await real(*given, **named)

            monkeypatch.setattr(Folder, name, call)

        for name in ("read", "create", "replace", "contents"):
            in_its_place(name)


async def test_a_rollback_on_demand_is_done_without_the_storage(
    stage: Stage, visitors: Traffic, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By what runs: the newest version is the bad one, and the one before is known to its platform."""
    from flows.rollback import finish  # noqa: PLC0415 - importing Prefect costs seconds
    from tasks.record.objects import StorageFault  # noqa: PLC0415

    assert visitors
    plan, version = stage.plan(), stage.tag("3.1")
    await check_closed(stage, await stage.release_through(version, plan=plan), outcome="deployed")
    asked = {"plan": plan, "reason": "orders are lost", "requester": "rita"}
    run = await stage.ask("rollback", **asked)
    storage = Away(monkeypatch)
    with pytest.raises(StorageFault):
        await finish(run, asked)
    position = await stage.platform("production").current()
    assert (position["baseline"], position["canary"], position["owner"]) == (FIRST, None, run)
    assert any("COULD NOT BE READ" in record.getMessage() for record in caplog.records)
    storage.is_away = False
    started = stage.started("production")
    assert (await finish(run, asked)).name == "RolledBack"
    assert stage.started("production") == started


async def test_a_release_is_rolled_back_without_the_storage(stage: Stage, visitors: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its platforms say what it owns; its record is closed once the storage is back."""
    from blocks.outside_text import as_reason  # noqa: PLC0415 - importing Prefect costs seconds
    from flows.lifecycle.finalize import finalize  # noqa: PLC0415
    from tasks.record.objects import StorageFault  # noqa: PLC0415
    from tasks.rules.lifecycle.ending import Ending  # noqa: PLC0415

    assert visitors
    plan, version = stage.plan(), stage.tag("3.2")
    run = await stage.release(version, plan=plan)
    await stage.runner.run(run, "release", kill_at="task start clock")
    assert (await stage.platform("production").current())["canary"] == version
    storage, ending = Away(monkeypatch), Ending("failed", as_reason("its process is gone"))
    with pytest.raises(StorageFault):
        await finalize(run, plan=plan, version=version, ending=ending)
    for environment in stage.environments:
        position = await stage.platform(environment).current()
        assert (position["baseline"], position["canary"]) == (FIRST, None)
    storage.is_away = False
    assert run not in kept_names("traces")
    assert (await finalize(run, plan=plan, version=version, ending=ending)).name == "RolledBack"
    assert run in kept_names("traces"), "the trace of a closed record is to be sent"
    await check_well(stage, version=FIRST)
