"""Messages arrive: once each, by real HTTP receivers that refuse, hang and come back."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow
from prefect.blocks.core import Block

from blocks.errors import Temporary
from blocks.key_folder.key_file import create_key
from blocks.notify.apprise import Apprise
from blocks.outside_text import as_reason
from tasks.lifecycle.clock import now
from tasks.notify import alert, announce, deliver_due, notify, outbox
from tasks.rules.plan.receivers import Hours, Receiver
from tests.receivers import Board, HttpReceiver, http_receiver

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server", "own_key")]


@pytest.fixture
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test an outbox of its own."""
    path = tmp_path / "keys" / "approvals.key"
    create_key(path)
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(path))


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    """Serve a receiver."""
    with http_receiver() as found:
        yield found


@pytest.fixture
def other() -> Iterator[HttpReceiver]:
    """Serve another one."""
    with http_receiver() as found:
        yield found


async def saved(block: Block) -> str:
    """Save a block, and give its name."""
    name = f"test-{uuid4().hex[:8]}"
    await block.save(name)  # type: ignore[misc]
    return f"{block.get_block_type_slug()}/{name}"


def peak_bytes() -> int:
    """Give the most memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@flow
async def announced(blocks: list[str], key: str) -> bool:
    """Announce as pre_deploy does."""
    return await announce(blocks, subject="shop 1.1 is about to be released", key=key)


def later(monkeypatch: pytest.MonkeyPatch, **more: float) -> None:
    """Let time pass for the outbox."""
    at = now() + timedelta(**more)
    monkeypatch.setattr(outbox, "now", lambda: at)


async def fail(blocks: list[str], run: str, outcome: str = "failed") -> None:
    """Tell that a release failed."""
    await alert(blocks, service="shop", version="1.1", outcome=outcome, reason=as_reason("12 of 80 failed"), run=run)


async def test_a_receiver_that_refuses_is_not_taken_for_told(receiver: HttpReceiver) -> None:
    """Apprise itself says nothing of a 403; the announcement fails, and its fault is in words that hold no address."""
    block = await saved(Apprise(url=f"json://ada:hunter2secret@127.0.0.1:{receiver.port}/"))
    receiver.status = 403
    with pytest.raises(Temporary, match=r"no receiver acknowledged the announcement: .*403") as caught:
        await announce.fn([block], subject="x", key="k")
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    receiver.status = 200
    assert await announce.fn([block], subject="x", key="k")
    assert await announce.fn([block], subject="x", key="k")
    assert receiver.subjects == ["x"]


async def test_one_receiver_that_refuses_holds_no_other_and_gets_it_once_it_is_back(
    receiver: HttpReceiver, other: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The good one has the message once, whatever the bad one does, and the release goes on."""
    receiver.status = 500
    blocks = [await saved(Apprise(url=one.address)) for one in (receiver, other)]
    key = uuid4().hex
    assert [await announced(blocks, key), await announced(blocks, key)] == [True, True]
    assert (receiver.subjects, other.subjects) == ([], ["shop 1.1 is about to be released"])
    receiver.status = 200
    await deliver_due()
    assert receiver.subjects == [], "the delay after a failed try is not over"
    later(monkeypatch, minutes=11)
    await deliver_due()
    await deliver_due()
    assert (receiver.subjects, other.subjects) == (other.subjects, ["shop 1.1 is about to be released"])


async def test_a_receiver_that_was_down_for_an_hour_gets_what_it_missed_in_order(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two runs three messages; those of one run stay in order."""
    block = await saved(Apprise(url=receiver.address))
    receiver.status = 503
    await notify([block], ["approval_waiting"], about="shop 1.1", reason=as_reason("ada: 1"), run="r1", key="r1/production")
    await fail([block], "r1", outcome="rolled_back")
    await fail([block], "r2", outcome="cancelled")
    receiver.status = 200
    later(monkeypatch, hours=1)
    for _ in range(2):
        await deliver_due()
    assert sorted(receiver.subjects) == sorted(
        ["shop 1.1: approval waiting", "shop 1.1: deployment failed (rolled back)", "shop 1.1: cancelled"]
    )
    assert receiver.subjects.index("shop 1.1: approval waiting") < receiver.subjects.index("shop 1.1: deployment failed (rolled back)")
    assert outbox.undelivered() == []


async def test_a_loud_message_takes_the_earlier_ones_of_its_run_along(receiver: HttpReceiver) -> None:
    """The receiver is back, and the delay of the first message is not over: the second one does not wait for that."""
    block = await saved(Apprise(url=receiver.address))
    receiver.status = 503
    await notify([block], ["approval_waiting"], about="shop 1.1", reason=as_reason("ada: 1"), run="r1", key="r1/production")
    receiver.status = 200
    await fail([block], "r1")
    assert receiver.subjects == ["shop 1.1: approval waiting", "shop 1.1: deployment failed"]


async def test_a_process_that_died_while_it_sent_loses_no_message(receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its claim ends, and the keeper sends it; the receiver may have it already, which is said in the handbook."""
    block = await saved(Apprise(url=receiver.address))
    receiver.status = 503
    await fail([block], "r1")
    assert outbox._claim(outbox._name("r1/end/failed", "r1"), block, insist=True) is not None
    receiver.status = 200
    await deliver_due()
    assert receiver.received == []
    later(monkeypatch, seconds=outbox.CLAIM_SECONDS + 600)
    await deliver_due()
    assert receiver.subjects == ["shop 1.1: deployment failed"]


async def test_two_keepers_at_once_send_it_once(receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery is claimed before it is sent."""
    block = await saved(Apprise(url=receiver.address))
    receiver.status = 503
    for number in range(5):
        await fail([block], f"r{number}")
    receiver.status = 200
    later(monkeypatch, minutes=20)
    await asyncio.gather(*(deliver_due() for _ in range(4)))
    assert receiver.subjects == ["shop 1.1: deployment failed"] * 5


async def test_a_message_that_no_one_takes_for_a_day_is_given_up_and_said(receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays in the outbox for another day, so that the doctor can say so; then it is removed."""
    from flows.commands._receivers import examine  # noqa: PLC0415

    block = await saved(Apprise(url=receiver.address))
    receiver.status = 503
    await fail([block], "r1")
    found = examine(Path())
    fault = f"{block} did not accept the message (it answered 503)"
    assert (found.level, found.text) == ("warn", f"1 not acknowledged yet: {block}: shop 1.1: deployment failed ({fault})")
    receiver.status = 200
    later(monkeypatch, hours=25)
    monkeypatch.setattr("tasks.lifecycle.clock.now", outbox.now)
    await deliver_due()
    assert receiver.received == []
    assert examine(Path()).level == "fail"
    later(monkeypatch, hours=49)
    await deliver_due()
    assert examine(Path()).level == "ok"


async def test_a_block_that_hangs_holds_nothing_up(tmp_path: Path, receiver: HttpReceiver) -> None:
    """The other receiver has it by then; it is told how it went with this one."""
    blocks = [await saved(Board(path=str(tmp_path / "x"), hangs=True)), await saved(Apprise(url=receiver.address))]
    async with asyncio.timeout(25):
        await fail(blocks, "r1")
    assert receiver.subjects == ["shop 1.1: deployment failed"]
    (left,) = outbox.undelivered()
    assert re.search("did not acknowledge the message within 10 s|took too long", left.deliveries[blocks[0]].fault)


@pytest.mark.parametrize("answers", ["a gigabyte when it is unpacked", "a byte a second"])
async def test_no_answer_of_a_receiver_costs_this_process_memory_or_time(answers: str, receiver: HttpReceiver) -> None:
    """It is the one that rolls back: it has told the other receiver, it has not grown, and nothing of it still reads."""
    receiver.drips, receiver.bomb_bytes = answers == "a byte a second", 1_000_000_000 if "unpacked" in answers else 0
    block = await saved(Apprise(url=receiver.address))
    before, began = peak_bytes(), time.monotonic()
    await fail([block], "r1")
    assert time.monotonic() - began < 20
    assert peak_bytes() - before < 100_000_000
    assert subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "sending_process"], check=False).returncode == 1  # noqa: ASYNC221
    (left,) = outbox.undelivered()
    assert re.search(r"did not acknowledge|did not accept|was not sent to|^$", left.deliveries[block].fault)


@pytest.mark.parametrize("lacks", ["the block", "its answer"])
async def test_what_is_wrong_with_a_receiver_is_said_without_what_it_quotes(tmp_path: Path, lacks: str) -> None:
    """A library's error may hold the address with its token."""
    block = await saved(Board(path=str(tmp_path / "x"), says="https://hooks.example.org/T0KEN"))
    block += "-absent" if lacks == "the block" else ""
    await fail([block], "r1")
    (left,) = outbox.undelivered()
    said = left.deliveries[block].fault
    assert ("does not exist or cannot be read" if lacks == "the block" else "did not accept the message (ConnectionError)") in said
    assert "T0KEN" not in said


async def test_without_the_folder_of_the_key_a_message_is_sent_straight_away(
    tmp_path: Path, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback goes on without its key, and people hear of it."""
    block = await saved(Apprise(url=receiver.address))
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "absent" / "approvals.key"))
    await fail([block], "r1")
    assert receiver.subjects == ["shop 1.1: deployment failed"]


async def test_a_message_that_was_changed_on_the_disk_stops_no_other(tmp_path: Path, receiver: HttpReceiver) -> None:
    """It is not read, and the next one goes out."""
    block = await saved(Apprise(url=receiver.address))
    receiver.status = 503
    await fail([block], "r1")
    (kept,) = (tmp_path / "keys" / outbox.FOLDER).glob("*.kept")
    kept.write_bytes(b"else")
    receiver.status = 200
    await fail([block], "r2")
    assert receiver.subjects == ["shop 1.1: deployment failed"]


def test_an_address_that_apprise_does_not_know_is_refused_without_being_quoted() -> None:
    """It is a secret as a whole."""
    with pytest.raises(ValueError, match="not an address that Apprise knows") as wrong:
        Apprise(url="no-such-service://hunter2secret")
    assert "hunter2" not in str(wrong.value)


async def test_a_critical_message_is_tried_whatever_became_of_the_earlier_ones_of_its_run(receiver: HttpReceiver) -> None:
    """The receiver refuses the first for what it says, for good; the failed rollback is told all the same, at once."""
    block = await saved(Apprise(url=receiver.address))
    receiver.refuses = "approval waiting"
    await notify([block], ["approval_waiting"], about="shop 1.1", reason=as_reason("ada: 1"), run="r1", key="r1/production")
    await notify([block], ["rollback_failed"], about="shop 1.1", reason=as_reason("slow"), run="r1", key="r1/rollback/production")
    assert receiver.subjects == ["shop 1.1: ROLLBACK FAILED"]


async def test_an_outbox_that_is_full_keeps_critical_messages_alone(receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the others each is sent once, and not tried again."""
    monkeypatch.setattr(outbox, "MOST", 1)
    block = await saved(Apprise(url=receiver.address))
    receiver.status = 503
    await fail([block], "r1")
    await fail([block], "r2")
    assert receiver.refused == 2
    await notify([block], ["rollback_failed"], about="shop 1.1", reason=as_reason("slow"), run="r2", key="r2/rollback/production")
    assert sorted(one.run for one in outbox.undelivered()) == ["r1", "r2"]


async def test_a_message_that_waits_for_no_receiver_is_delivered_by_the_keeper(receiver: HttpReceiver) -> None:
    """As that a wave could not be rolled back, while the next one is; who tells it again sends nothing twice."""
    block = await saved(Apprise(url=receiver.address))
    told = {"about": "shop 1.1", "reason": as_reason("slow"), "run": "r1", "key": "r1/rollback/production"}
    await notify([block], ["rollback_failed"], **told, waits=False)
    assert receiver.received == []
    await deliver_due()
    await notify([block], ["rollback_failed"], **told)
    assert receiver.subjects == ["shop 1.1: ROLLBACK FAILED"]


async def test_who_is_told_at_certain_hours_gets_the_rest_when_they_begin_and_the_critical_at_once(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of what is less urgent than was asked for nothing at all; an announcement in the night is not taken for told."""
    soon = now() + timedelta(hours=2)
    hours = Hours(begin=f"{soon:%H:%M}", end=f"{soon + timedelta(hours=1):%H:%M}", zone="UTC")
    block = await saved(Apprise(url=receiver.address))
    one = Receiver(to=block, at_least="warning", hours=(hours,))
    await alert([one], service="shop", version="1.1", outcome="deployed", reason=as_reason("it serves"), run="r1")
    await alert([one], service="shop", version="1.1", outcome="failed", reason=as_reason("12 of 80 failed"), run="r2")
    await notify([one], ["rollback_failed"], about="shop 1.2", reason=as_reason("2 of 3 pods"), run="r2", key="r2/rollback")
    with pytest.raises(Temporary, match=f"{block} is told from .* on"):
        await announce.fn([Receiver(to=block, hours=(hours,))], subject="x", key="k")
    assert await announce.fn([one], subject="no receiver asked for it", key="k2")
    assert receiver.subjects == ["shop 1.2: ROLLBACK FAILED"]
    await deliver_due()
    assert len(receiver.subjects) == 1
    later(monkeypatch, hours=2, minutes=1)
    for _ in range(2):
        await deliver_due()
    assert sorted(receiver.subjects[1:]) == ["shop 1.1: deployment failed", "x"]
    assert outbox.undelivered() == []
