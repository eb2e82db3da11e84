"""Blocks by their own class, which spares the search through every collection that is installed."""

from __future__ import annotations

import importlib

import pytest
from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks import secret_text
from blocks.errors import BadInput
from blocks.prometheus.prometheus import Prometheus
from tasks.rollout import platforms
from tasks.rollout.platforms import KNOWN, load_block


@pytest.mark.parametrize("kind", KNOWN)
def test_each_kind_names_the_class_of_its_blocks(kind: str) -> None:
    """A block's name begins with what its class calls the type."""
    module, attribute = KNOWN[kind]
    found: type[Block] = getattr(importlib.import_module(module), attribute)
    assert found.get_block_type_slug() == kind


@pytest.mark.parametrize(
    "text",
    [" ".join(f"{number:016x}" for number in range(2_000)), "".join(f"{number:08x}" for number in range(9_000))],
    ids=["words", "one word"],
)
async def test_a_block_with_too_many_secrets_is_not_used(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one costs time for every text; those that a block had before in this process count, too."""
    monkeypatch.setattr(secret_text, "_known", set())
    monkeypatch.setattr(secret_text, "_known_of", {})
    given = iter([text, text[:8_000], "x" + text[1_000:9_000], "a-short-token"])

    async def load(_: str) -> Block:
        return Prometheus(url="http://127.0.0.1:9", bearer_token=SecretStr(next(given)))

    monkeypatch.setattr(platforms, "_load", load)
    with pytest.raises(BadInput, match=r"too long to be kept out of every text.*--minify"):
        await load_block("prometheus/shipway", field="judgement.prometheus")
    for _ in range(3):
        await load_block("prometheus/shipway", field="judgement.prometheus")
    assert 100 < len(secret_text._known) <= secret_text.MOST_OF_ONE
    assert "a-short-token" in secret_text._known


@pytest.mark.server
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("name", ["local/never-made", "slack-webhook/never-made", "no-such-type/x"])
async def test_a_block_that_is_not_there_is_bad_input(name: str) -> None:
    """Of a kind that we know, of another, of none."""
    with pytest.raises(BadInput, match="cannot be read"):
        await load_block(name, field="production.platform")
