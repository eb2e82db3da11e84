"""What is observed from the end of a release on: only where its record says that the version was promoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blocks.key_folder.key_file import create_key, key_path
from flows.lifecycle.context import Phase
from flows.lifecycle.observed import observe_deployed
from tasks.lifecycle.observed import observed_services, read_observed
from tasks.rules.record.entries import Entry, chain
from tests.rules.lifecycle.test_observed import BEGAN, taken

CASES = [(["eu"], ["production/eu"]), (["us", "eu"], ["production/eu", "production/us"]), ([], None)]


@pytest.mark.parametrize(("targets", "observed"), CASES)
async def test_production_of_one_target_alone_has_that_target_observed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: list[str], observed: list[str] | None
) -> None:
    """The others run what they ran before."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    plan = taken().model_copy(deep=True)
    platform = plan.plan["production"].pop("platform")
    plan.plan["production"]["targets"] = [{"name": "eu", "platform": platform}, {"name": "us", "platform": f"{platform}-us"}]
    phase = Phase("r1", 1, "r1", plan.parsed(), "/srv/plan.yaml", "/srv", plan)
    entries = [entry("opened", evidence={"flow": "production"})]
    entries += [entry("effect", environment=f"production/{name}", name="promote", evidence={"service": "shop"}) for name in targets]
    await observe_deployed(phase, "r1", entries, version="1.1")
    found = [one.places for name in observed_services() if (one := read_observed(name)) is not None]
    assert [list(places) for places in found] == ([observed] if observed else [])


def entry(kind: Any, **fields: Any) -> Entry:
    """Write an entry."""
    return chain(None, at=BEGAN, who="shipway", what="Looked", kind=kind, **fields)
