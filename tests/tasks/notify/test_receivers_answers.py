"""What a receiver answers cannot fill the memory of the process that tells of a rollback."""

from __future__ import annotations

import gzip
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock

from blocks.errors import Temporary
from blocks.notify import answers
from blocks.notify.apprise import Apprise
from blocks.outside_text import outside
from tasks.notify import outbox
from tasks.rules.notify.facts import Content
from tests.faulty_http import FaultyHandler, FaultyHttp, running

MEGABYTE = 1_000_000
BOMB = gzip.compress(gzip.compress(bytes(100 * MEGABYTE)))
CONTENT = Content((), outside("shop 1.1"), outside("It is rolled back."))


class Handler(FaultyHandler):
    """Answers as its path says."""

    def take(self, body: bytes) -> None:
        """Answer."""
        del body
        self.answer(self.path.strip("/"))

    def answer_well(self) -> None:
        """Acknowledge."""
        self._reply(200, b"{}")

    def answer_bomb(self) -> None:
        """Send 100 MB in 100 kB, compressed twice."""
        self._reply(200, BOMB, **{"Content-Encoding": "gzip, gzip"})


@pytest.fixture
def faulty() -> Iterator[FaultyHttp]:
    """Serve every fault."""
    with running(FaultyHttp(Handler)) as found:
        yield found


@pytest.mark.parametrize("kind", ["apprise", "webhook"])
@pytest.mark.parametrize("fault", ["bomb", "gigabyte", "drip"])
async def test_an_answer_of_any_length_or_encoding_fills_no_memory(
    faulty: FaultyHttp, monkeypatch: pytest.MonkeyPatch, kind: str, fault: str
) -> None:
    """It is not taken for an acknowledgement, and the next message is delivered."""
    monkeypatch.setattr(answers, "MOST_SECONDS", 0.5)

    def block(path: str) -> Any:
        if kind == "apprise":
            return Apprise(url=f"{faulty.url.replace('http', 'json', 1)}/{path}")
        return CustomWebhookNotificationBlock(name="x", url=f"{faulty.url}/{path}", allow_private_urls=True)

    async def load(name: str, **_: Any) -> Any:
        return block(name)

    monkeypatch.setattr(outbox, "load_block", load)
    await outbox.send("well", CONTENT)  # imports what it needs
    monkeypatch.setattr(outbox, "EACH_SECONDS", 2.0 if fault == "drip" else outbox.EACH_SECONDS)
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(Temporary, match="did not"):
            await outbox.send(fault, CONTENT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * MEGABYTE
    assert time.monotonic() - began < 20
    await outbox.send("well", CONTENT)
