"""A turn of the keeper: what fails for one part keeps no other from it, and only a whole turn counts as its work."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

PARTS = ("show_machine", "find_open", "end_strays", "tell_git_what_is_due", "remove_old", "forget_idle_runs", "note_work")


@pytest.mark.parametrize(
    ("fails", "works"),
    [("", True), ("remove_old", True), ("end_strays", True), ("forget_idle_runs", True), ("find_open", False)],
    ids=["all is well", "retention fails", "strays fail", "its own runs stay", "open runs are not read"],
)
async def test_a_turn_is_noted_if_the_open_runs_were_seen_to(monkeypatch: pytest.MonkeyPatch, fails: str, *, works: bool) -> None:
    """The doctor and the supervisor go by what is noted."""
    keeper: Any = importlib.import_module("flows.keeper")
    done: list[str] = []

    def stand_in(name: str) -> Any:
        async def act(*_: Any, **__: Any) -> list[Any]:
            done.append(name)
            if name == fails:
                raise RuntimeError(name)
            return []

        return act

    for name in PARTS:
        monkeypatch.setattr(keeper, name, stand_in(name))
    monkeypatch.setattr(keeper, "run_id", lambda: "r1")
    if works:
        await keeper.keeper.fn()
    else:
        with pytest.raises(RuntimeError, match="find_open"):
            await keeper.keeper.fn()
    assert ("note_work" in done) is works
    assert {*PARTS} - {"note_work"} <= {*done}
