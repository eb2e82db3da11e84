"""The chain of a record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.record.document import read_document, to_json
from tasks.rules.record.entries import Entry, Kind, chain, key_of, outcome_of, parse_entry, select, to_bytes, verify_chain

START = datetime(2026, 11, 23, 2, 14, 5, tzinfo=UTC)
IDENTITIES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["effect", "note", "verdict"]),
        "environment": st.sampled_from(["", "staging", "production", "production/eu"]),
        "round": st.integers(1, 3),
        "step": st.none() | st.integers(0, 100),
        "name": st.text(max_size=20),
    }
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8"))
)
EVIDENCE = st.dictionaries(
    st.text(st.characters(codec="utf-8")), st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3)), max_size=4
)


def record_of(*kinds: tuple[Kind, float, dict[str, Any]]) -> list[Entry]:
    """Make a record from kinds, the seconds since the entry before, and evidence."""
    entries: list[Entry] = []
    at = START
    for index, (kind, seconds, evidence) in enumerate(kinds):
        at += timedelta(seconds=seconds)
        previous = entries[-1] if entries else None
        entries.append(
            chain(previous, at=at, name=f"part {index}", kind=kind, who="ada", what="It happened.", why="2 of 3", evidence=evidence)
        )
    return entries


WHOLE = record_of(
    ("opened", 0, {"service": "guestbook"}), ("health", 2, {"ratio": 1e-05}), ("note", 1, {}), ("closed", 1, {"outcome": "deployed"})
)


def test_an_untouched_record_is_intact() -> None:
    """No fault is invented."""
    assert verify_chain(WHOLE) == []


@given(EVIDENCE)
def test_an_entry_is_read_back_as_it_was_made(evidence: dict[str, Any]) -> None:
    """Whatever JSON the evidence holds, storing and reading changes nothing."""
    entry = chain(None, at=START, kind="note", who="ada", what="x", evidence=evidence)
    assert parse_entry(to_bytes(entry)) == entry


@given(st.data())
def test_any_changed_byte_of_any_entry_is_found(data: st.DataObject) -> None:
    """One byte of one entry, changed to any other value, never passes."""
    content = bytearray(to_bytes(data.draw(st.sampled_from(WHOLE))))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255).filter(lambda value: value != content[place]))
    with pytest.raises(ValueError, match=r"."):
        parse_entry(bytes(content))


@given(st.data())
def test_a_part_of_an_entry_is_not_an_entry(data: st.DataObject) -> None:
    """A write that was cut short anywhere is seen."""
    content = to_bytes(data.draw(st.sampled_from(WHOLE)))
    with pytest.raises(ValueError, match="not whole JSON"):
        parse_entry(content[: data.draw(st.integers(0, len(content) - 1))])


def rewritten(entry: Entry, **changes: Any) -> Entry:
    """Change fields and leave the hash as it was."""
    return Entry.model_validate({**entry.model_dump(), **changes})


TAMPERED = {
    "a changed sentence": (
        [WHOLE[0], rewritten(WHOLE[1], what="It was well."), *WHOLE[2:]],
        "entry 2 (health part 1): its content does not match",
    ),
    "changed evidence": ([WHOLE[0], rewritten(WHOLE[1], evidence={"ratio": 0.0}), *WHOLE[2:]], "does not match its hash"),
    "a missing middle": ([WHOLE[0], *WHOLE[2:]], "entry 3 (note part 2) stands at place 2"),
    "a missing first": (WHOLE[1:], "entry 2 (health part 1) stands at place 1"),
    "two in another order": ([WHOLE[0], WHOLE[2], WHOLE[1], WHOLE[3]], "does not follow the entry before it"),
    "one doubled": ([*WHOLE[:2], WHOLE[1], *WHOLE[2:]], "another entry of this kind"),
    "a missing end": (WHOLE[:3], "has no closing entry"),
    "nothing at all": ([], "empty"),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_each_kind_of_tampering_is_said(case: str) -> None:
    """Change, gap, reorder, repeat and truncation have a sentence each."""
    entries, sentence = TAMPERED[case]
    assert any(sentence in problem for problem in verify_chain(entries))


def test_an_entry_that_was_forged_with_a_right_hash_breaks_the_one_behind_it() -> None:
    """Whoever rewrites an entry must rewrite all that follow."""
    forged = chain(WHOLE[0], at=START, name="part 1", kind="health", who="eve", what="All well.")
    assert verify_chain([WHOLE[0], forged, *WHOLE[2:]]) == [
        "entry 3 (note part 2) does not follow the entry before it: its `previous` is another hash"
    ]


def test_a_release_under_way_needs_no_closing_entry() -> None:
    """An open record can be intact."""
    assert verify_chain(WHOLE[:3], state="under_way") == []


@pytest.mark.parametrize(
    ("evidence", "outcome"),
    [({"outcome": name}, name) for name in ("deployed", "rolled_back", "refused", "failed", "cancelled")]
    + [({}, "failed"), ({"outcome": "open"}, "failed"), ({"outcome": 1}, "failed")],
)
def test_the_closing_entry_says_the_outcome(evidence: dict[str, Any], outcome: str) -> None:
    """A closing entry that says nothing of use counts as failed."""
    assert outcome_of(record_of(("opened", 0, {}), ("closed", 1, evidence))) == outcome


def test_a_record_without_closing_entry_is_open() -> None:
    """No end is not an outcome."""
    assert outcome_of(WHOLE[:3]) == "open"


def test_the_document_seals_its_entries() -> None:
    """The header carries the count and the last hash, and the same record gives the same text."""
    text = to_json(WHOLE)
    assert f'"head": "{WHOLE[-1].hash}"' in text
    assert '"entry_count": 4' in text
    assert text == to_json(list(WHOLE))


@given(IDENTITIES, IDENTITIES)
def test_two_entries_share_a_key_only_if_all_identifying_fields_are_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Whatever a name holds, it cannot be taken for another field."""
    assert (key_of(**one) == key_of(**other)) == (one == other)


def test_entries_are_selected_by_their_fields() -> None:
    """None takes any value, and "" is a value: what concerns the whole release."""
    more: Any = {"at": START, "who": "ada", "what": "x"}
    whole = chain(None, kind="gate", name="question 1", **more)
    first = chain(whole, kind="effect", environment="production", step=25, name="shift", **more)
    second = chain(first, kind="effect", environment="production", round=2, name="prepare", **more)
    entries = [whole, first, second]
    assert select(entries) == entries
    assert select(entries, kind="effect", environment="production") == [first, second]
    assert select(entries, environment="") == [whole]
    assert select(entries, round=2) == [second]
    assert select(entries, step=25, name="shift") == [first]
    assert [entry.label for entry in entries] == ["gate question 1", "effect production 25 % shift", "effect production prepare round 2"]


def test_a_document_is_read_back_and_another_format_is_refused() -> None:
    """What is published can be checked, and the message names the first wrong field."""
    assert read_document(to_json(WHOLE)).entries == WHOLE
    with pytest.raises(ValueError, match="not a shipway-record/2 document: format"):
        read_document(to_json(WHOLE).replace("shipway-record/2", "shipway-record/1"))
    with pytest.raises(ValueError, match=r"entries\.0\.seq"):
        read_document(to_json(WHOLE).replace('"seq": 1', '"seq": 0'))
