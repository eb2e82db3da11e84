"""What Git is told by the keeper: by the blocks through which releases acted, as they were, and by no others."""

from __future__ import annotations

from typing import Any, Self

import pytest

from blocks.key_folder.kept_files import kept_path, remove_kept
from blocks.key_folder.places import FOLDER, Kept, keep_place
from tasks.rollout import due

EVIL = [type("Document", (), {"name": "evil"})()]


class Api:
    """A server that has a GitOps block that was made by others."""

    async def __aenter__(self) -> Self:
        """Open it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""

    async def read_block_documents_by_type(self, *_: Any, **__: Any) -> list[Any]:
        """Give the block."""
        return EVIL


async def test_a_block_that_no_release_used_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made of a false Git and the true engine, it would end the hold, and the engine brings the bad version back."""
    monkeypatch.setattr(due, "get_client", Api, raising=False)
    asked: list[str] = []

    async def tell(name: str, owner: str) -> str:
        asked.append(name)
        return owner

    monkeypatch.setattr(due, "_tell", tell)
    keep_place("gitops/shop", Kept("here", {"gitops/shop": {"edit": "values.yaml"}}))
    keep_place("gitops/other", Kept("there", {}))
    try:
        assert await due.tell_git_what_is_due.fn("r1") == ["keeper r1", "keeper r1"]
        assert asked == ["gitops/other", "gitops/shop"]
        kept_path(FOLDER, "gitops/other").write_bytes(b"changed")
        asked.clear()
        await due.tell_git_what_is_due.fn("r1")
        assert asked == ["gitops/shop"], "what is kept cannot be read, and the block as it is now is not asked"
    finally:
        remove_kept(FOLDER, "gitops/shop")
        remove_kept(FOLDER, "gitops/other")
