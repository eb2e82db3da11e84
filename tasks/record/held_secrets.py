"""Secrets of the server's blocks, learned before texts of others leave this machine: none of them is in an export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prefect.client.orchestration import PrefectClient

from blocks.secret_text import learn
from tasks.record.borders import guard

PAGE = 200


async def learn_all(client: PrefectClient) -> None:
    """Learn each secret value of each block: what the server shows only to who asks for secrets.

    Args:
        client: Of the server.
    """
    guard()
    for offset in range(0, 100 * PAGE, PAGE):
        whole = await client.read_block_documents(offset=offset, limit=PAGE, include_secrets=True)
        shown = {one.id: one.data for one in await client.read_block_documents(offset=offset, limit=PAGE, include_secrets=False)}
        learn(secret for one in whole for secret in hidden_in(one.data, shown.get(one.id, {})))
        if len(whole) < PAGE:
            return


def hidden_in(whole: Any, shown: Any) -> Iterator[str]:
    """Walk through two values for the texts that the second one does not show.

    Args:
        whole: The value with its secrets.
        shown: The same as the server shows it.
    """
    if whole == shown:
        return
    if isinstance(whole, Mapping):
        for name, member in whole.items():
            yield from hidden_in(member, shown.get(name) if isinstance(shown, Mapping) else None)
    elif isinstance(whole, list):
        others = shown if isinstance(shown, list) and len(shown) == len(whole) else [None] * len(whole)
        for member, other in zip(whole, others, strict=True):
            yield from hidden_in(member, other)
    elif whole is not None and not isinstance(whole, bool):
        yield str(whole)
