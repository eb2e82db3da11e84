"""What a run was asked to do, by its record and not by parameters that were changed since."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from blocks import secret_text
from tasks.rules.record.asked import as_opened, changed_parameters
from tasks.rules.record.entries import Entry, chain

GIVEN = {"plan": "/srv/plan.yaml", "version": "1.1", "environment": "production"}


def opened(**evidence: Any) -> Entry:
    """Open a record."""
    return chain(None, at=datetime(2026, 1, 1, tzinfo=UTC), kind="opened", who="rita", what="asked", evidence=evidence)


@pytest.mark.parametrize("name", GIVEN)
def test_a_parameter_that_was_changed_is_named(name: str) -> None:
    """Each alone, also where it is gone."""
    assert changed_parameters(opened(**GIVEN), GIVEN | {name: "another"}) == [name]
    assert changed_parameters(opened(**GIVEN), {one: value for one, value in GIVEN.items() if one != name}) == [name]


def test_a_secret_that_is_learned_later_changes_no_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record has the text as it was then, and what is given now is compared without it."""
    kept = opened(because_of="shop-1.0-brave-otter")
    monkeypatch.setattr(secret_text, "_known", {"brave-otter"})
    assert changed_parameters(kept, {"because_of": "shop-1.0-brave-otter"}) == []
    assert changed_parameters(kept, {"because_of": "shop-1.0-calm-otter"}) == ["because_of"]


def test_what_the_record_does_not_name_was_not_changed() -> None:
    """As in a record of an earlier version."""
    assert changed_parameters(opened(**GIVEN), GIVEN) == []
    assert changed_parameters(opened(plan="/srv/plan.yaml", version="1.1"), GIVEN) == []


def test_a_release_ends_by_the_plan_and_version_that_it_began_with() -> None:
    """If the record says nothing, by those that are given."""
    assert as_opened(opened(**GIVEN), plan="/home/eve/plan.yaml", version="9.9") == ("/srv/plan.yaml", "1.1")
    assert as_opened(opened(), plan="/home/eve/plan.yaml", version="9.9") == ("/home/eve/plan.yaml", "9.9")
    assert as_opened(None, plan="/home/eve/plan.yaml", version="9.9") == ("/home/eve/plan.yaml", "9.9")
