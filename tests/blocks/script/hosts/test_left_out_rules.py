"""Hosts that people left out of a version, as values: what they count for, and that none of a release's scripts is run there."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import Permanent, Unreachable
from blocks.script.hosts.left_out import is_left_now, left_out_of
from blocks.script.hosts.needed import expect_known
from blocks.script.hosts.position import Answer, counted, having, left_now, needed, position_of_hosts
from blocks.script.hosts.shares import course, reached, share_of
from blocks.script.state import LeftOut, Notes
from blocks.script.words import Known, Running

WORDS = ["1.0", "1.1", "-", "?", "1.2", "1.1!", "?!", "-!"]


def notes(left_out: LeftOut | None, **other: Any) -> Notes:
    """Write a host's notes."""
    known: dict[str, Any] = {"baseline": "1.0", "canary": "1.1", "owner": "run-1", "rollback": False, **other}
    return Notes(
        format="x", service="app", generation=1, previous=None, touched=True, next_run=2, run=None, left_out=left_out, **known
    )  # fmt: skip


@pytest.mark.parametrize(
    ("left_out", "other", "version", "now"),
    [
        (None, {}, "", False),
        (("1.1", "run-1"), {}, "1.1", True),
        (("1.1", "run-2"), {}, "", False),  # of another release
        (("1.1", "run-1"), {"owner": None}, "", False),  # its release has ended with the canary there
        (("1.1", "run-1"), {"rollback": True}, "", False),  # a rollback restores it
        (("1.0", "run-0"), {}, "1.0", False),  # of what served before: it gets the canary in its turn
        (("1.0", "run-0"), {"rollback": True}, "1.0", False),
        (("1.0", "run-0"), {"canary": None, "owner": None}, "1.0", True),
        (("0.9", "run-0"), {}, "", False),
        (("0.9", "run-0"), {"canary": None}, "", False),
    ],
)
def test_a_host_is_left_out_of_one_version_and_by_one_release(
    left_out: tuple[str, str] | None, other: dict[str, Any], version: str, *, now: bool
) -> None:
    """What else is noted leaves no host out."""
    found = notes(left_out and LeftOut(version=left_out[0], owner=left_out[1]), **other)
    assert (left_out_of(found), is_left_now(found)) == (version, now)


def answers(*words: str) -> list[Answer]:
    """Write answers short: a version, `-` for nothing, `?` for none, then `!` if a script touched the host, `~1.1` if it is left out."""
    found = []
    for number, word in enumerate(words, start=1):
        said, _, left = word.partition("~")
        running = None if said[0] == "?" else Running(None if said[0] == "-" else said.rstrip("!"))
        found.append(Answer(f"web-{number}", running, "it fails" if running is None else "", said.endswith("!"), left_out=left))
    return found


ROLLING = Known(baseline="1.0", canary="1.1", previous="0.9", touched=False)
SERVING = Known(baseline="1.1", canary=None, previous="1.0", touched=False)
NEXT = Known(baseline="1.1", canary="1.2", previous="1.0", touched=False)


@pytest.mark.parametrize(
    ("known", "words", "percent", "ready", "trouble"),
    [
        (ROLLING, ("1.1!", "1.1!", "0.9!~1.1", "1.0"), 75, {"1.0": True, "1.1": True}, ""),
        (ROLLING, ("1.1!", "1.1!", "?!~1.1", "1.1!"), 100, {"1.0": False, "1.1": True}, ""),
        (ROLLING, ("1.1!~1.1", "1.0", "1.0", "1.0"), 0, {"1.0": True, "1.1": False}, ""),  # nothing that counts has it
        (ROLLING, ("1.1!", "0.9!~1.1", "0.8", "1.0"), 50, {"1.0": False, "1.1": True}, "web-3: `0.8` runs"),
        (SERVING, ("1.1", "1.1", "0.9~1.1", "1.1"), 0, {"1.1": True}, ""),
        (SERVING, ("2.0", "2.0", "0.9~1.1", "2.0"), 0, {"1.1": False}, "web-1, web-2, web-4: `status` prints `2.0`"),
        (NEXT, ("1.2!", "1.1", "0.9~1.1", "1.1"), 25, {"1.1": True, "1.2": True}, ""),
        (NEXT, ("1.2!", "1.1", "?~1.1", "1.1"), 25, {"1.1": True, "1.2": True}, ""),
        (NEXT, ("1.2!", "1.2!", "0.9!~1.1", "1.1"), 50, {"1.1": True, "1.2": True}, "web-3: `0.9` runs"),  # now a script of ours failed
    ],
)
def test_a_host_that_is_left_out_counts_for_the_share_alone(
    known: Known, words: tuple[str, ...], percent: int, ready: dict[str, bool], trouble: str
) -> None:
    """Neither for what is well, nor for what is in trouble; others count as ever."""
    given = answers(*words)
    well = {(one.host, one.running.serves or "") for one in given if one.running is not None}
    found = position_of_hosts(known, given, well, owner="run-1", generation=3)
    assert (found["percent"], found["ready"]) == (percent, ready)
    assert found.get("trouble", "").startswith(trouble)
    assert bool(found.get("trouble")) is bool(trouble)


@pytest.mark.parametrize(
    ("words", "passes", "raises"),
    [
        (("1.2", "?~1.1", "1.1"), False, None),  # as a script left it
        (("1.2", "?~1.1", "1.1"), True, Unreachable),  # it does not answer, and is needed in its turn
        (("1.2", "?", "1.1"), False, Permanent),
    ],
)
def test_of_a_host_that_was_left_out_of_what_serves_an_answer_is_needed_but_no_good_one(
    words: tuple[str, ...],
    passes: bool,  # noqa: FBT001 - of a table
    raises: type[Exception] | None,
) -> None:
    """Else the next release could never deploy it; one that is gone keeps a release from beginning, as any other."""
    given = [one._replace(may_pass=passes) for one in answers(*words)]
    with pytest.raises(raises) if raises else nullcontext():
        expect_known(needed(given), what="a share of 50 %")


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.booleans()), min_size=1, max_size=10), st.sampled_from([ROLLING, SERVING, NEXT]))
def test_no_word_of_a_host_that_is_left_out_changes_where_the_environment_stands(said: list[tuple[str, bool]], known: Known) -> None:
    """Whatever it answers, the position is the one with any other answer of it."""
    left = known["baseline"] if known["canary"] is None else known["canary"]
    places = []
    for word in (None, "1.1!", "?!", "0.7!"):
        given = answers(*(f"{word or own}~{left}" if is_left else own for own, is_left in said))
        well = {(one.host, one.running.serves or "") for one in given if one.running is not None}
        places.append(position_of_hosts(known, given, well, owner=None, generation=1))
        assert len(left_now(known, given)) + len(counted(known, given)) == len(given)
        assert set(having(known, given)).isdisjoint(left_now(known, given))
    assert all(place == places[0] for place in places)


@given(st.data(), st.integers(1, 12), st.integers(1, 4))
def test_however_hosts_are_left_out_each_share_has_its_hosts_and_none_of_them_is_acted_on(
    data: st.DataObject, hosts: int, at_once: int
) -> None:
    """People may leave a host out that fails, as long as another of the step has it or has yet to get it: each step ends at its share."""
    names = tuple(f"web-{one}" for one in range(1, hosts + 1))
    done, left = set[str](), set[str]()
    for number in sorted(data.draw(st.sets(st.integers(1, hosts), min_size=1))):
        while True:
            found = course(names, done, number, at_once=at_once, left_out=left)
            acted = [host for batch in (found.there, *found.deploys) for host in batch]
            assert not found.returns
            assert left.isdisjoint(acted)
            failing = [host for host in acted if host not in done and data.draw(st.booleans())] if len(acted) > 1 else []
            if not failing:
                done |= set(acted)
                break
            done |= set(acted[: acted.index(failing[0])])
            left.add(failing[0])
        assert reached(len(done), len(left), hosts) == share_of(number, hosts)
        assert done
    back = course(names, done, 0, at_once=at_once, left_out=left)
    assert {host for batch in back.returns for host in batch} == done
    assert reached(0, len(left), hosts) == 0
