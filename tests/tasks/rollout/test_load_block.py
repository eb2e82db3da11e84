"""Blocks by their own class, which spares the search through every collection that is installed."""

from __future__ import annotations

import importlib

import pytest
from prefect.blocks.core import Block

from blocks.errors import BadInput
from tasks.rollout.platforms import KNOWN, load_block


@pytest.mark.parametrize("kind", KNOWN)
def test_each_kind_names_the_class_of_its_blocks(kind: str) -> None:
    """A block's name begins with what its class calls the type."""
    module, attribute = KNOWN[kind]
    found: type[Block] = getattr(importlib.import_module(module), attribute)
    assert found.get_block_type_slug() == kind


@pytest.mark.server
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("name", ["local/never-made", "slack-webhook/never-made", "no-such-type/x"])
async def test_a_block_that_is_not_there_is_bad_input(name: str) -> None:
    """Of a kind that we know, of another, of none."""
    with pytest.raises(BadInput, match="cannot be read"):
        await load_block(name, field="production.platform")
