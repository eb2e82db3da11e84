"""What is said of the commit of a deployment's page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flows.lifecycle import publishing
from tasks.documentation.page import Documented


async def test_a_commit_that_was_cut_off_is_not_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The push may have arrived: only the branch says."""

    async def slow(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(publishing, "COMMIT_SECONDS", 0.01)
    monkeypatch.setattr(publishing, "repository_of_pages", slow)
    page = Documented("page", {}, "", is_deployment=True)
    said = await publishing._commit(page, "git/shop", folder="docs", run="run-1", service="shop")
    assert said.startswith("It is not known whether it is committed to git/shop")
