"""Whose environments are is asked before staging alone, and what they change besides is owned once a version has all requests there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Refused
from blocks.key_folder.key_file import create_key, key_path
from blocks.key_folder.owners import file_of_thing, read_owner
from blocks.touching import NotOwn
from flows import staging
from flows.lifecycle.context import Phase
from flows.rollout import owning
from tests.rules.policy.test_rules import plan_of

RUN = "11111111-2222-3333-4444-555555555555"
ROUTE = {"the HTTPRoute shop/web": "kubernetes HTTPRoute u-1"}


@pytest.fixture(autouse=True)
def _key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())


class Reached:
    """A platform that is reached by a route."""

    def __init__(self, canary: str | None, fault: Exception | None = None) -> None:
        """Have a canary, or none."""
        self.canary, self.fault = canary, fault

    async def current(self) -> dict[str, Any]:
        """Read the position."""
        return {"canary": self.canary}

    async def touches(self) -> dict[str, str]:
        """Name the route."""
        if self.fault is not None:
            raise self.fault
        return ROUTE


class Said(Phase):
    """A phase whose notes are kept in memory."""

    async def append(self, what: str, **more: Any) -> Any:  # type: ignore[override]
        """Keep one."""
        self.folder_notes().append((what, more["why"]))

    def folder_notes(self) -> list[Any]:
        """Give those that were kept."""
        notes: list[Any] = self.__dict__.setdefault("notes", [])
        return notes


def phase() -> Said:
    """Stand in a release."""
    taken: Any = None
    return Said(RUN, 1, RUN, plan_of(), "shipway.yaml", ".", taken)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owning, "retried", lambda task: task.fn)


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize(
    ("platform", "is_owned", "notes"),
    [
        (Reached("1.1"), True, 0),
        (Reached(None), False, 0),
        (Reached("1.1", NotOwn("shared", field="service", fix="x", things={})), False, 1),
        (object(), False, 0),
    ],
    ids=["rolled out", "it ran already", "shared since", "says nothing"],
)
async def test_what_an_environment_is_reached_by_is_owned_once_a_version_has_all_requests(
    platform: Any, notes: int, *, is_owned: bool
) -> None:
    """A block can name another's, whose own release would be refused; and a version that was verified stays whatever is there by now."""
    release = phase()
    await owning.own_what_was_changed(release, platform, "production")
    owner = read_owner(file_of_thing(next(iter(ROUTE.values()))))
    assert (owner is not None) == is_owned
    assert len(release.folder_notes()) == notes


async def test_staging_alone_asks_whose_the_plans_environments_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """No person is asked about it: a block of staging that leads to production's environment would bring any version there."""
    done: list[str] = []

    async def refuse(_: Phase) -> None:
        raise Refused("staging and production are the same environment")

    async def go(*_: Any, **__: Any) -> None:
        done.append("went on")

    monkeypatch.setattr(staging, "expect_own_environments", refuse)
    for name in ("wait_while_frozen", "_roll_out"):
        monkeypatch.setattr(staging, name, go)
    with pytest.raises(Refused, match="the same environment"):
        await staging._alone(phase(), "1.1")
    assert done == []
