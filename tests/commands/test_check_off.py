"""`shipway check-off` against a real server: it answers only a whole question of a checklist, and only what is open there."""

from __future__ import annotations

import argparse
import json
from uuid import uuid4

import pytest

from blocks.errors import BadInput, Refused
from flows.commands import approve, check_off
from tasks.lifecycle.server import server as connected
from tasks.rules.plan.checklist import TickedItem
from tests.commands.suspended import suspended_run

pytestmark = pytest.mark.server

ITEMS = [TickedItem(name="backup", text="A backup was read", who=["anna"]), TickedItem(name="call-centre", text="It knows", who=["anna"])]


@pytest.fixture(autouse=True)
def there(server: object) -> None:
    """Need the server."""
    assert server is not None


async def check_off_with(*words: str) -> int:
    """Run `shipway check-off` in the loop of the test."""
    parser = argparse.ArgumentParser()
    check_off.configure(parser)
    async with connected() as client:
        return await check_off._check_off(client, parser.parse_args(words))


async def test_it_shows_what_is_open_without_an_item(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is posted, and the exit code says that the release waits."""
    gate = await suspended_run(f"shop-{uuid4().hex[:6]}", items=ITEMS)
    assert await check_off_with(gate.run) == 5
    assert gate.digest in capsys.readouterr().out.replace("\n", "")


async def test_it_gives_what_is_open_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON document with the same exit code; how far it is, is null for a run whose record is not here."""
    gate = await suspended_run(f"shop-{uuid4().hex[:6]}", items=ITEMS)
    assert await check_off_with(gate.run, "--json") == 5
    found = json.loads(capsys.readouterr().out)
    assert (found["id"], found["open"], found["checklist"]) == (gate.run, ["backup", "call-centre"], None)
    assert (found["question"]["digest"], found["question"]["gate"]) == (gate.digest, gate.name)
    assert gate.digest in found["text"]


@pytest.mark.parametrize(
    ("items", "words", "error"),
    [
        ([], ["backup", "--as", "anna"], "waits for an answer at its gate, not for ticks: `shipway approve"),
        (
            ITEMS,
            ["other", "--as", "anna", "--code", "12345678"],
            "other is not open here: ticked already, or another name; open are backup, ",
        ),
        (ITEMS, ["backup"], "your name is missing"),
        (ITEMS, ["back up", "--as", "anna"], "'back up' is not a tick"),
        (ITEMS, ["backup", "--as", "anna", "--json"], "--json: it is for reading"),
    ],
)
async def test_what_cannot_count_is_not_posted(items: list[TickedItem], words: list[str], error: str) -> None:
    """Another kind of question, an item that is not open, no name, no item."""
    gate = await suspended_run(f"shop-{uuid4().hex[:6]}", items=items)
    with pytest.raises((Refused, BadInput), match=error.replace("(", "\\(")):
        await check_off_with(gate.run, *words)


async def test_a_question_whose_text_shows_another_digest_is_not_answered() -> None:
    """Whoever can write to the API can change the text, and a person would tick what it says."""
    gate = await suspended_run(f"shop-{uuid4().hex[:6]}", items=ITEMS, text="all is well")
    with pytest.raises(Refused, match="it may have been changed on the server"):
        await check_off_with(gate.run, "backup", "--as", "anna", "--code", "12345678")


async def test_approve_does_not_answer_a_checklist(capsys: pytest.CaptureFixture[str]) -> None:
    """It names the command that does."""
    gate = await suspended_run(f"shop-{uuid4().hex[:6]}", items=ITEMS)
    parser = argparse.ArgumentParser()
    approve.configure(parser)
    assert await approve.answer(parser.parse_args([gate.run, "--as", "anna", "--code", "12345678"])) == 4
    assert f"shipway check-off {gate.run[:8]} ITEM" in capsys.readouterr().err
