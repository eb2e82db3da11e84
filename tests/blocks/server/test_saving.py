"""Blocks that several processes save at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from blocks.server import saving

pytestmark = pytest.mark.server


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False], ids=["type known", "type new"])
async def test_blocks_saved_by_several_at_once_are_all_there(server: Any, tmp_path: Path, known: bool) -> None:  # noqa: FBT001 - a case
    """Six at once save the same new kind of block by the same names; each sees its blocks saved."""
    from prefect.blocks.core import Block  # noqa: PLC0415 - slow to import

    assert server.home.exists()
    slug = f"saved-at-once-{'known' if known else 'new'}"
    kind = type(
        "SavedAtOnce",
        (Block,),
        {"__module__": __name__, "_block_type_slug": slug, "_block_type_name": slug, "__annotations__": {"place": str}},
    )
    if known:
        await saving.register(kind)

    async def save_all(number: int) -> None:
        await asyncio.gather(*(saving.save(kind(place=str(tmp_path / str(number))), name) for name in ("staging", "production")))

    await asyncio.gather(*(save_all(number) for number in range(6)))
    for name in ("staging", "production"):
        assert (await kind.aload(name)).place.startswith(str(tmp_path))


@pytest.mark.parametrize("misses", [0, 1, 4])
async def test_a_save_that_others_got_in_the_way_of_is_done_again(misses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before a change of others is read again; four times in a row at most."""
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415 - slow to import

    monkeypatch.setattr(saving, "PAUSES_SECONDS", (0, 0, 0, 0))
    tries = []

    class Contended:
        async def save(self, name: str, *, overwrite: bool) -> None:
            assert overwrite
            tries.append(name)
            if len(tries) <= misses:
                raise ObjectNotFound(Exception("Block document not found"))

    await saving.save(Contended(), "shipway")  # type: ignore[arg-type]
    assert tries == ["shipway"] * (misses + 1)


async def test_a_save_that_never_succeeds_fails_with_the_servers_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last failure is not hidden."""
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415 - slow to import

    monkeypatch.setattr(saving, "PAUSES_SECONDS", (0, 0))

    class Lost:
        async def save(self, _name: str, *, overwrite: bool) -> None:
            raise ObjectNotFound(Exception(f"Block document not found, {overwrite}"))

    with pytest.raises(ObjectNotFound):
        await saving.save(Lost(), "shipway")  # type: ignore[arg-type]
