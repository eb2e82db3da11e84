"""The page that says what is frozen quotes people's words, and nothing in them acts."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from blocks.key_folder.key_file import create_key, key_path


async def test_the_words_of_a_freeze_are_harmless_in_its_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Anyone with the API's password may set one, and approvers read it."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    freeze: Any = importlib.import_module("flows.freeze")
    pages: list[str] = []

    async def publish(text: str, *, key: str) -> None:
        assert key
        pages.append(text)

    async def warn(_: str) -> str:
        return "the service [x](http://evil) is not known"

    monkeypatch.setattr(freeze, "acreate_markdown_artifact", publish)
    monkeypatch.setattr(freeze, "warn", warn)
    monkeypatch.setattr(freeze, "emit_freeze", lambda *_, **__: None)
    state = await freeze.freeze.fn(reason="<img src=x> [here](http://evil) **now**", requester="rita", service="shop")
    assert state.name == "Frozen"
    (page,) = pages
    assert [one for one in ("<img", "[here](http", "[x](http", "**now**") if one in page] == []
