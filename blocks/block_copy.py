"""Copies of blocks with other fields."""

from __future__ import annotations

from typing import Any, TypeVar

from prefect.blocks.core import Block

B = TypeVar("B", bound=Block)


def copied(block: B, **fields: Any) -> B:
    """Copy a block with some fields changed, and the name by which it is saved, which a model's own copy leaves behind."""
    found = block.model_copy(update=fields)
    found._block_document_name = block._block_document_name  # noqa: SLF001 - Prefect's own
    return found
