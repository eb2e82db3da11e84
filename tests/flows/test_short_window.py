"""A window that may be too short: people are asked whether the wave begins, as at the gate; the server's data decide nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused
from flows.approval import gate as gates
from flows.approval import short_window
from flows.approval.short_window import Short, ask_to_begin, said_about
from flows.lifecycle import windows
from flows.lifecycle.windows import _what_keeps, wait_for_window
from tasks.rules.approval.answers import AnswerVerdict, read_answer
from tasks.rules.approval.gates import Gate
from tasks.rules.approval.proofs import ApprovedAction, Proof
from tests.flows.test_held_steps import RUN, Kept, nothing
from tests.flows.test_what_keeps_a_wave import AT, CLOSED, World, world
from tests.rules.policy.test_rules import plan_of

__all__ = ["world"]
OPEN = {**CLOSED["deny"][0], "until": f"{AT + timedelta(minutes=2):%Y-%m-%dT%H:%M}"}
SHORT = Short(1, "production", AT + timedelta(minutes=2))


class Asked(Exception):
    """The run is suspended with a question."""


class People:
    """Answers that are judged as good ones, in their order, and the questions that were asked."""

    def __init__(self, phase: Kept) -> None:
        """Begin without an answer."""
        self.phase, self.said, self.asked = phase, list[str](), dict[str, datetime]()
        self.questions: list[Gate] = []
        self.faults: list[str] = []
        self.verified: list[dict[str, Any]] = []
        self.form: Any = None

    async def ask(self, form: Any, *, key: str, until: datetime) -> None:
        """Suspend the run."""
        self.asked[key], self.form = until, form
        raise Asked(key)

    async def answer(self, gate: Gate) -> Any:
        """Give what was posted to a question."""
        said = self.said[gate.question - 1] if len(self.said) >= gate.question else ""
        return read_answer({"decision": said, "approver": "ada" if said else ""}, received_at=AT)

    def check(self, _task: Any, _name: str) -> Any:
        """Verify proofs again."""

        async def checked(_approvers: Any, **asked: Any) -> list[str]:
            self.verified.append(asked)
            return self.faults

        return checked

    def judge(self, _task: Any, _name: str) -> Any:
        """Judge an answer: one by `forged` does not count."""

        async def judged(*_: Any, gate: Gate, answer: Any, **__: Any) -> Any:
            self.questions.append(gate)
            if answer.decision not in gate.decisions:
                return AnswerVerdict(outcome="malformed", reason="not an answer", approver="ada")
            asked = gate.asked().model_dump(exclude={"format"})
            proof = Proof(**asked, kind="code", approver="ada", decision=answer.decision, at=AT)
            return AnswerVerdict(outcome="accepted", reason="good", approver="ada", proof=proof)

        return judged


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch, world: World) -> People:
    """Give a release that reaches production two minutes before its window closes, and its approvers."""
    assert world.aside == set()
    taken: Any = None
    phase = Kept(RUN, 1, RUN, plan_of(windows={"allow": [OPEN], "if_too_short": "ask"}), "shipway.yaml", ".", taken)
    found = People(phase)
    rules = SimpleNamespace(approvers=("ada", "ben"), quorum=1, signatures="accepted")
    inputs: Any = SimpleNamespace(rules=lambda: rules, digest="ab" * 32, version="1.1")

    async def collect(*_: Any, **__: Any) -> Any:
        return inputs

    async def opened(*_: Any) -> Any:
        return SimpleNamespace(evidence={"version": "1.1"}, who="rita")

    ways: dict[str, Any] = {"ask": found.ask, "asked_keys": lambda: set(found.asked), "load_approvers": nothing, "_form": nothing}
    ways |= {"retried": lambda task: found.answer if task is gates.fetch_answer else nothing, "named": found.judge, "now": lambda: AT}
    for name, way in ways.items():
        monkeypatch.setattr(gates, name, way)
    ways = {"collect_inputs": collect, "read_entry": opened, "now": lambda: AT, "named": found.check, "load_approvers": nothing}
    for name, way in ways.items():
        monkeypatch.setattr(short_window, name, way)
    return found


async def ask(people: People, short: Short = SHORT) -> None:
    """Ask, or go on after an answer."""
    await ask_to_begin(people.phase, short, until=short.closes, why="2 min are left, and 30 min may be needed")


async def test_a_wave_that_may_not_fit_asks_and_says_until_when(people: People) -> None:
    """Nothing begins before they answered; the question is bound to wave and window, and open until that closes."""
    found = await _what_keeps(people.phase, ["production"], says=True)
    assert found is not None
    assert found.closes == found.until == SHORT.closes
    with pytest.raises(Asked):
        await ask(people)
    assert people.asked == {"window-1-until-20261130t120200-1": SHORT.closes}
    (entry,) = Kept.entries
    assert entry.what == "Asked ada, ben whether to begin with 1.1"
    assert await said_about(people.phase, SHORT) is None


@pytest.mark.parametrize(("answer", "keeps"), [("approve", False), ("postpone", True)])
async def test_people_decide_whether_it_begins_or_waits_for_the_next_window(people: People, answer: str, *, keeps: bool) -> None:
    """For this window: one that closes at another time is another question."""
    with pytest.raises(Asked):
        await ask(people)
    people.said = [answer]
    await ask(people)
    found = await _what_keeps(people.phase, ["production"], says=True)
    assert (found is not None) == keeps
    assert found is None or found.closes is None
    decision = next(entry for entry in Kept.entries if entry.name.endswith("decision"))
    assert [one["decision"] for one in decision.evidence["proofs"]] == [answer]
    assert await said_about(people.phase, SHORT._replace(closes=SHORT.closes + timedelta(minutes=1))) is None
    assert await said_about(people.phase, SHORT._replace(wave=2)) is None


async def test_a_yes_of_people_who_do_not_count_any_more_waits_for_the_next_window(people: People) -> None:
    """It is verified again at each look; from the first change on it no longer matters who is enrolled now, as for approvals."""
    with pytest.raises(Asked):
        await ask(people)
    people.said = ["approve"]
    await ask(people)
    assert await said_about(people.phase, SHORT) == "proceed"
    (seen,) = people.verified
    assert seen["subject"] == ApprovedAction(RUN, SHORT.gate, people.phase.plan.service, "1.1", "ab" * 32)
    assert (seen["allowed"], seen["quorum"], seen["requester"], seen["counted"]) == (("ada", "ben"), 1, "rita", ())
    await people.phase.append("verified", kind="approval", name="confirmed")
    await said_about(people.phase, SHORT)
    assert people.verified[-1]["counted"] == [Proof.model_validate(seen["proofs"][0]).name()]
    people.faults = ["ada is not enrolled any more"]
    assert await said_about(people.phase, SHORT) == "postpone"


async def test_people_end_the_release(people: People) -> None:
    """As at the gate."""
    with pytest.raises(Asked):
        await ask(people)
    people.said = ["reject"]
    with pytest.raises(Refused, match="too short: ada rejected"):
        await ask(people)


async def test_what_the_api_writes_decides_nothing(people: People) -> None:
    """A run that is resumed without an answer, or with what is none, is asked again; used keys skip no question; and silence waits."""
    people.asked["window-1-until-20261130t120200-1"] = AT  # written into the run by others
    with pytest.raises(Asked, match="-2"):
        await ask(people)
    people.said = ["", "proceed"]
    with pytest.raises(Asked, match="-3"):
        await ask(people)
    assert people.questions[-1].decisions == ("approve", "postpone", "reject")
    assert await said_about(people.phase, SHORT) is None
    people.asked |= {f"{SHORT.gate}-{number}": AT for number in range(1, 200)}
    with pytest.raises(Refused, match="without an answer that counts"):
        await ask(people)
    assert await said_about(people.phase, SHORT) is None


async def test_without_an_answer_it_waits_for_the_next_window(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the run is started again after the window closed."""
    with pytest.raises(Asked):
        await ask(people)
    monkeypatch.setattr(gates, "now", lambda: SHORT.closes + timedelta(seconds=1))
    await ask(people)
    assert await said_about(people.phase, SHORT) == "postpone"


@pytest.mark.parametrize("answer", ["approve", "postpone"])
@pytest.mark.parametrize("wave", [("production/a", "production/b"), ("production/b", "production/a"), ("production/b",)])
async def test_an_answer_counts_for_the_whole_wave(
    people: People, monkeypatch: pytest.MonkeyPatch, wave: tuple[str, ...], answer: str
) -> None:
    """In whatever order its targets are rolled out, and for one of them alone: else the same would be asked without end."""
    for name in ("_holds_lease", "_is_changed", "check_not_stopped", "give_turns", "tell_what_is_over", "_name_of_holds", "_suspend"):
        monkeypatch.setattr(windows, name, nothing)
    places = tuple(SimpleNamespace(environment=name) for name in ("production/a", "production/b"))
    monkeypatch.setattr(windows, "waves_of", lambda _plan: (places,))
    asks, real = list[str](), windows.ask_to_begin

    async def counted(*args: Any, **more: Any) -> None:
        asks.append("asked")
        assert len(asks) < 5, "it asks without end"
        await real(*args, **more)

    monkeypatch.setattr(windows, "ask_to_begin", counted)
    with pytest.raises(Asked):
        await wait_for_window(people.phase, wave)
    people.said = [answer]
    await wait_for_window(people.phase, wave)
    assert len(asks) == 2


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, "; a wave that has begun finishes."),
        ({"when_it_closes": "hold"}, "; a wave that has begun then stops before its next step until production opens again."),
        ({"when_it_closes": "hold", "held_at_most_minutes": 30}, " and is rolled back if it is held for more than 30 min."),
    ],
)
async def test_the_question_says_what_becomes_of_a_wave_that_is_not_done(
    people: People, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], says: str
) -> None:
    """People sign for what the plan does."""

    async def form(*_: Any, asks: str, **__: Any) -> str:
        return asks

    monkeypatch.setattr(gates, "_form", form)
    people.phase = replace(people.phase, plan=plan_of(windows={"allow": [OPEN], "if_too_short": "ask", **more}))
    with pytest.raises(Asked):
        await ask(people)
    assert says in people.form


@pytest.mark.parametrize(
    ("begin", "wave", "says"),
    [
        (None, 1, "Approve to begin now, although"),
        (AT - timedelta(hours=1), 1, "Approve to begin now, although"),
        (AT + timedelta(minutes=1), 1, "Approve to begin at its time, Mon 2026-11-30 12:01 UTC, although"),
        (AT + timedelta(minutes=1), 2, "Approve to begin now, although"),
    ],
)
async def test_the_question_says_when_it_begins(
    people: People, monkeypatch: pytest.MonkeyPatch, begin: datetime | None, wave: int, says: str
) -> None:
    """Of a scheduled release people may be asked before its time; a later wave follows the windows alone."""

    async def form(*_: Any, asks: str, **__: Any) -> str:
        return asks

    async def opened(*_: Any) -> Any:
        return SimpleNamespace(evidence={"version": "1.1", **({"not_before": begin.isoformat()} if begin else {})}, who="rita")

    monkeypatch.setattr(gates, "_form", form)
    monkeypatch.setattr(short_window, "read_entry", opened)
    with pytest.raises(Asked):
        await ask(people, SHORT._replace(wave=wave))
    assert says in people.form
