"""Gates in the record: which entries ask people, answer and decide, by their evidence; a part of a release has longer names."""

from __future__ import annotations

from tasks.rules.record.entries import Entry

QUESTION = "question"  # in the evidence of an entry that asks people, who are notified of the first one: its number
ANSWER = "answer"  # in the evidence of an entry about an answer, whether it counts or not: the number of its question
PROOFS = "proofs"  # in the evidence of an entry that decides a gate
SCRIPT = {"act", "runs", "log"}  # in the evidence of a note about a script that failed
DECISION = "decision"


def asks_first(entry: Entry) -> bool:
    """Say if an entry is the first question of a gate, of which people are notified."""
    return entry.kind == "gate" and entry.evidence.get(QUESTION) == 1


def is_answer(entry: Entry) -> bool:
    """Say if an entry is about an answer of a person, counted or refused; a refused one ends nothing."""
    return entry.kind in {"approval", "refused"} and ANSWER in entry.evidence


def decides(entry: Entry) -> bool:
    """Say if an entry decides a gate, or says that none is asked for."""
    return entry.kind in {"gate", "refused"} and (entry.name == DECISION or PROOFS in entry.evidence)


def tells_of_a_script(entry: Entry) -> bool:
    """Say if an entry tells of a script that failed, with what it printed."""
    return entry.kind == "note" and entry.evidence.keys() >= SCRIPT
