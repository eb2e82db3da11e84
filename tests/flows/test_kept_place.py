"""What leads to an environment is kept for rollbacks once its lease is acquired, and not before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Refused
from blocks.key_folder.key_file import create_key, key_path
from blocks.key_folder.places import read_place
from blocks.local.platform import LocalPlatform
from flows import staging
from flows.lifecycle.context import Phase
from flows.rollout import steps
from tasks.approval.protection import keep_way, own_environment
from tasks.rules.plan.targets import STAGING, place_of
from tests.rules.policy.test_rules import plan_of

RUN = "11111111-2222-3333-4444-555555555555"
MOVED = LocalPlatform(service="shop", folder="/srv/elsewhere")


@pytest.fixture(autouse=True)
def _key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())


async def test_who_may_go_forward_does_not_move_the_way_of_a_rollback_yet() -> None:
    """Nothing is deployed there before the lease."""
    plan = plan_of()
    place = place_of(plan, "production")
    await own_environment.fn(plan, place, MOVED, claims=True)
    assert read_place(place.platform) is None
    await keep_way.fn(place, MOVED)
    assert (kept := read_place(place.platform)) is not None
    assert kept.parts[place.platform]["folder"] == "/srv/elsewhere"


@pytest.mark.parametrize("environment", [STAGING, "production"])
async def test_a_release_that_is_refused_the_lease_keeps_no_place(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would send a rollback to where nothing was deployed."""

    async def nothing(*_: Any, **__: Any) -> Any:
        return None

    async def moved(*_: Any, **__: Any) -> LocalPlatform:
        return MOVED

    async def refuse(*_: Any, **__: Any) -> None:
        raise Refused("another release owns it")

    ways = {"platform_of": moved, "approved_platform": moved, "informed": moved, "lease_for_release": refuse, "retried": lambda task: task}
    ways |= dict.fromkeys(("expect_may_go_forward", "what_holds_a_target", "wait_while_held", "expect_data", "fix_settings"), nothing)
    for module in (steps, staging):
        for name, way in ways.items():
            monkeypatch.setattr(module, name, way, raising=False)
    taken: Any = None
    phase = Phase(RUN, 1, RUN, plan_of(), "shipway.yaml", ".", taken)
    place = place_of(phase.plan, environment)
    in_production = steps.roll_out(phase, "1.1", place=place, decisions={}, approved=None)
    in_staging = staging._roll_out(phase, version="1.1")
    chosen, other = (in_staging, in_production) if environment == STAGING else (in_production, in_staging)
    other.close()
    with pytest.raises(Refused):
        await chosen
    assert read_place(place.platform) is None
