"""Blocks as they are now, for a rollback that goes by those of the release: whoever can edit them chose every byte.

They are read up to a bound, and their secrets are not held: a hundred thousand of them would slow down every line of the log.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
from prefect import get_client
from prefect.blocks.core import Block
from prefect.client.schemas.objects import BlockDocument

from blocks.bounded import PLAIN, read_chunks
from blocks.errors import BadInput
from tasks.rollout.platforms import KNOWN, known_class

MOST_BYTES = 1_000_000


async def present_block(name: str) -> Block:
    """Load a block as it is now, without holding its secrets; hold those that are used.

    Raises:
        Exception: Of any type, as its fields may be anything; its text may quote a secret.
    """
    document, kind = await _document(name), name.partition("/")[0]
    return (known_class(kind) if kind in KNOWN else Block)._from_block_document(document)  # noqa: SLF001 - `aload` reads without a bound


async def present_kubeconfig(name: str) -> str:
    """Read the content of a kubeconfig from a block of prefect-kubernetes as it is now; its text is not parsed.

    Raises:
        Exception: As `present_block`.
    """
    found: Any = (await _document(name)).data["cluster_config"]
    if found is None:
        return ""
    content = found["config"]
    return content if isinstance(content, str) else json.dumps({**content, "current-context": found["context_name"]})


async def _document(name: str) -> BlockDocument:
    kind, _, own = name.partition("/")
    path = f"/block_types/slug/{kind}/block_documents/name/{own}"
    async with get_client() as client:
        http = client._client  # noqa: SLF001 - it has no method that reads up to a bound; its own `send` reads to the end
        request = http.build_request("GET", path, params={"include_secrets": "true"}, headers=PLAIN)
        answer = await httpx.AsyncClient.send(http, request, stream=True)
        try:
            content, cut = await read_chunks(answer.aiter_raw(), most_bytes=MOST_BYTES)
        finally:
            await answer.aclose()
    if not answer.is_success:
        raise BadInput(f"the block {name} cannot be read (status {answer.status_code})", field=name, fix="Create it.")
    if cut:
        raise BadInput(f"the block {name} has more than {MOST_BYTES:,} bytes", field=name, fix="Make it shorter.")
    return BlockDocument.model_validate_json(content)
