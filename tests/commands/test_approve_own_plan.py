"""`shipway approve` computes the digest from a plan of the approver's own machine, which the server names."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.commands import approve

OTHER = 65534
by_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")
QUESTION: Any = SimpleNamespace(service="shop", version="1.1", digest="d" * 64)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the plans that were looked at, and what they name with them."""
    found: list[str] = []

    async def look(plan: str, *, version: str) -> Any:
        assert version == "1.1"
        found.append(plan)
        return SimpleNamespace(digest=QUESTION.digest, parsed=lambda: SimpleNamespace(service="shop"))

    monkeypatch.setattr("tasks.evidence.inputs.look", look)
    return found


@pytest.mark.parametrize(
    ("mode", "owner", "says"),
    [
        (0o700, None, ""),
        (0o777, None, "can be written by every user"),
        pytest.param(0o755, (OTHER, OTHER), f"belongs to the user {OTHER}", marks=by_root),
    ],
)
@pytest.mark.parametrize("way", ["shop/plan.yaml", "link/plan.yaml"])
async def test_a_plan_that_other_users_can_change_is_not_looked_at(
    way: str, mode: int, owner: tuple[int, int] | None, says: str, tmp_path: Path, looked: list[str]
) -> None:
    """It would name blocks, and this command would connect to what they name, as the approver."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "plan.yaml").write_text("service: shop")
    (tmp_path / "link").symlink_to(folder)
    folder.chmod(mode)
    if owner is not None:
        os.chown(folder, *owner)
    said = await approve.compared(QUESTION, str(tmp_path / way))
    if says:
        assert looked == []
        assert f"The digest was not computed here: {folder} {says}" in said
    else:
        assert looked == [str(tmp_path / way)]
        assert "it is that of the question" in said


@pytest.mark.parametrize("plan", ["", "/nowhere/plan.yaml"])
async def test_a_plan_that_is_not_here_is_said(plan: str, looked: list[str]) -> None:
    """As on any other machine than the worker's."""
    assert "The digest was not computed here" in await approve.compared(QUESTION, plan)
    assert looked == []
