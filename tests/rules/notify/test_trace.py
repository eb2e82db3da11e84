"""The trace of a release by its record: the whole, its phases and its waits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.notify.trace import spans_of, trace_id
from tasks.rules.record.entries import Entry, chain
from tests.rules.record.test_durations import ANSWER, ASKED, AT, CLOSED, GOES_ON, LOCKED, NOTE, STEP_HELD, WORKS, record

RUN = "0197a2b4-7b1e-7c3f-9a51-3f0c2a8b9d10"


def written(*rows: tuple[str, str, dict[str, Any]], outcome: str = "deployed", why: str = "1.1 serves") -> list[Entry]:
    """Write a record, an entry each ten seconds: kind, environment and evidence."""
    found: list[Entry] = []
    opened = ("opened", "", {"flow": "release", "service": "shop", "version": "1.1"})
    closed = ("closed", "", {"outcome": outcome})
    for place, (kind, environment, evidence) in enumerate([opened, *rows, closed]):
        at, given_kind = AT + timedelta(seconds=10 * place), kind
        entry: dict[str, Any] = {"kind": given_kind, "environment": environment, "name": str(place), "evidence": evidence}
        found.append(chain(found[-1] if found else None, at=at, who="x", what=f"step {place}", why=why, **entry))
    return found


GOOD = written(
    ("review", "", {}), ("tests", "", {"passed": True}), ("effect", "staging", {}), ("health", "staging", {"outcome": "passed"}),
    ("gate", "", {"suspends_until": "2026-11-30T16:00:00+00:00"}), ("approval", "", {}), ("gate", "", {"decision": "approved"}),
    ("effect", "production", {}), ("verdict", "production", {"outcome": "passed"}),
)  # fmt: skip


def test_a_release_is_a_span_with_one_for_each_phase_and_wait() -> None:
    """A phase lasts from what was written before its first entry, since an entry is written once its work is done."""
    root, *others = spans_of(RUN, GOOD)
    assert (root.name, root.parent, root.fault) == ("release shop 1.1", "", "")
    assert (root.begin, root.end) == (AT, AT + timedelta(seconds=100))
    assert {one.parent for one in others} == {root.id}
    lengths = [(one.name, (one.begin - AT).seconds, (one.end - AT).seconds) for one in others]
    assert lengths == [
        ("pre-deploy", 0, 20),
        ("staging", 20, 40),
        ("approval", 40, 70),
        ("production", 70, 90),
        ("wait for people", 50, 70),
    ]


@pytest.mark.parametrize(
    ("outcome", "result", "status"),
    [
        ("deployed", "success", "succeeded"),
        ("rolled_back", "failure", "failed"),
        ("failed", "failure", "failed"),
        ("partly_deployed", "failure", "failed"),
        ("refused", "failure", "failed"),
        ("cancelled", "cancellation", None),
        ("skipped", "skip", None),
    ],
)
def test_how_it_ended_is_said_in_the_words_of_the_conventions(outcome: str, result: str, status: str | None) -> None:
    """What a person stopped is neither a success nor a failure; our own word stands beside it."""
    root = spans_of(RUN, written(("review", "", {}), outcome=outcome, why="12 of 80 failed"))[0]
    assert root.attributes["cicd.pipeline.result"] == result
    assert root.attributes.get("deployment.status") == status
    assert root.attributes["shipway.outcome"] == outcome
    assert root.attributes["deployment.id"] == RUN
    assert root.fault == ("12 of 80 failed" if result == "failure" else "")


def test_the_phase_that_failed_says_what_failed() -> None:
    """And not a check that passed when it was repeated, which is the same check."""
    spans = spans_of(RUN, written(("health", "staging", {"outcome": "passed"}), ("verdict", "production", {"outcome": "failed"})))
    assert [(one.name, one.fault) for one in spans[1:]] == [("staging", ""), ("production", "step 2: 1.1 serves")]


def test_a_record_that_is_open_has_no_trace_and_what_comes_after_its_end_is_not_in_it() -> None:
    """It is sent once, when the release is over."""
    assert spans_of(RUN, GOOD[:-1]) == []
    assert spans_of(RUN, []) == []
    late = chain(GOOD[-1], at=AT + timedelta(days=1), kind="note", name="late", who="x", what="x", evidence={})
    assert spans_of(RUN, [*GOOD, late]) == spans_of(RUN, GOOD)


@given(
    rows=st.lists(st.sampled_from([WORKS, ASKED, CLOSED, STEP_HELD, LOCKED, GOES_ON, NOTE, ANSWER]), max_size=20),
    seconds=st.lists(st.floats(-100, 100), min_size=22, max_size=22),
)
def test_every_span_is_inside_the_whole_and_has_an_id_of_its_own(rows: Any, seconds: list[float]) -> None:
    """Also if the clock was set back; the same record gives the same trace, so one that is sent twice is not two."""
    entries = record(*rows, seconds=tuple(seconds))
    root, *others = spans_of(RUN, entries)
    assert all(one.begin <= one.end for one in (root, *others))
    assert all(root.begin <= one.begin and one.end <= root.end for one in others)
    assert len({one.id for one in (root, *others)}) == 1 + len(others)
    assert spans_of(RUN, entries) == [root, *others]
    assert len(trace_id(RUN)) == 32
