"""Where hosts put an environment, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.platform import Position
from blocks.script.hosts.position import Answer, having, position_of_hosts, to_restore, unknown
from blocks.script.hosts.shares import share_of
from blocks.script.words import Known, Running

SERVING = Known(baseline="1.0", canary=None, previous="0.9", touched=False)
ROLLING = Known(baseline="1.0", canary="1.1", previous="0.9", touched=False)
NEVER = Known(baseline=None, canary=None, previous=None, touched=False)
LOST = "it does not answer"


def answers(*words: str) -> list[Answer]:
    """Write answers short: a version, `-` for nothing, `?` for no answer, with `!` behind it if a script touched the host."""
    found = []
    for number, word in enumerate(words, start=1):
        said = word.rstrip("!")
        running = None if said == "?" else Running(None if said == "-" else said)
        found.append(Answer(f"web-{number}", running, LOST if said == "?" else "", touched=word.endswith("!")))
    return found


def place(known: Known, *words: str) -> Position:
    """Give the position; each host is well with what it runs."""
    given = answers(*words)
    well = {(one.host, one.running.serves or "") for one in given if one.running is not None}
    return position_of_hosts(known, given, well, owner="run-1", generation=3)


@pytest.mark.parametrize(
    ("known", "words", "where"),
    [
        (SERVING, ("1.0", "1.0"), ("1.0", None, 0, "0.9")),
        (ROLLING, ("1.0", "1.0", "1.0", "1.0"), ("1.0", "1.1", 0, "0.9")),
        (ROLLING, ("1.1!", "1.0", "1.0", "1.0"), ("1.0", "1.1", 25, "0.9")),
        (ROLLING, ("1.1!", "1.0!", "1.0", "1.0"), ("1.0", "1.1", 25, "0.9")),  # a script failed on the second
        (ROLLING, ("1.1!", "1.1!", "1.1!", "1.1!"), ("1.0", "1.1", 100, "0.9")),
        (NEVER, ("-", "-"), (None, None, 0, None)),
        (NEVER, ("1.0", "1.0"), ("1.0", None, 0, None)),
        ({**NEVER, "canary": "1.0"}, ("1.0!", "-"), (None, "1.0", 50, None)),
        (SERVING, ("-", "1.0"), ("1.0", None, 0, "0.9")),  # it crashed, or is new
    ],
)
def test_hosts_say_who_has_which_share(known: Known, words: tuple[str, ...], where: tuple[object, ...]) -> None:
    """The canary's share is the hosts that run it, and nothing is in trouble."""
    found = place(known, *words)
    assert (found["baseline"], found["canary"], found["percent"], found["previous"]) == where
    assert "trouble" not in found


@pytest.mark.parametrize(
    ("known", "words", "percent", "says"),
    [
        (ROLLING, ("1.1!", "?", "1.0", "1.0"), 25, "web-2: what runs there is not known: it does not answer"),
        (ROLLING, ("1.1!", "?!", "1.0", "1.0"), 50, "web-2: what runs there is not known"),  # a script acted there
        (SERVING, ("?", "?", "1.0"), 0, "web-1, web-2: what runs there is not known"),
        (SERVING, ("1.0", "1.2"), 0, "web-2: `status` prints `1.2`, but 1.0 was deployed here last"),
        (ROLLING, ("1.0", "1.2"), 0, "web-2: `1.2` runs, neither the baseline 1.0 nor the canary 1.1"),
        (ROLLING, ("-!", "1.0"), 0, "web-1: `-` runs, neither"),  # half a deployment
        (NEVER, ("1.0", "1.1", "1.0"), 0, "web-2: `status` prints `1.1`, but other hosts run 1.0"),
        (NEVER, ("1.0", "-"), 0, "web-2: `status` prints `-`, but other hosts run 1.0"),
    ],
)
def test_what_is_not_known_or_not_as_noted_is_trouble_by_name(known: Known, words: tuple[str, ...], percent: int, says: str) -> None:
    """Of a host that does not answer it counts whether a script of ours acted there."""
    found = place(known, *words)
    assert found["percent"] == percent
    assert found["trouble"].startswith(says)


@pytest.mark.parametrize(
    ("words", "ready"),
    [
        (("1.1!", "1.0"), {"1.0": True, "1.1": True}),
        (("1.0", "1.0"), {"1.0": True, "1.1": False}),  # before its first share nothing of it runs
        (("1.1!", "1.1!"), {"1.0": False, "1.1": True}),
        (("1.1!", "-"), {"1.0": False, "1.1": True}),  # one host of the baseline crashed
        (("1.1!", "?"), {"1.0": False, "1.1": True}),
        (("1.1!", "?!"), {"1.0": False, "1.1": False}),
    ],
)
def test_a_version_is_ready_if_each_of_its_hosts_is_well(words: tuple[str, ...], ready: dict[str, bool]) -> None:
    """One that is not known is not well."""
    assert place(ROLLING, *words)["ready"] == ready


def test_whether_a_canary_is_up_is_not_known_where_a_script_failed_that_may_have_started_it() -> None:
    """Its `status` may go by a file, and `verify` is asked about what it names."""
    assert place(ROLLING, "1.0!", "1.0")["ready"] == {"1.0": True}
    assert place(ROLLING, "1.0", "1.0")["ready"] == {"1.0": True, "1.1": False}


def test_a_host_that_is_not_well_makes_its_version_unready() -> None:
    """One of ten."""
    given = answers(*["1.1!"] * 10)
    well = {(one.host, "1.1") for one in given[1:]}
    assert position_of_hosts(ROLLING, given, well, owner=None, generation=1)["ready"]["1.1"] is False


@pytest.mark.parametrize(
    ("words", "restored"),
    [
        (("1.1!", "1.1!", "1.0"), ("web-1", "web-2")),
        (("1.1!", "1.0!", "1.0"), ("web-1", "web-2")),  # partial: half a deployment is undone, too
        (("1.0!", "1.0", "1.0"), ("web-1",)),  # its `status` may be the bad version's
        (("1.1", "1.0", "1.0"), ("web-1",)),
        (("?!", "?", "1.0"), ("web-1",)),  # nothing of ours acted on the second
        (("1.0", "1.0", "1.0"), ()),
    ],
)
def test_a_rollback_acts_where_a_script_acted_whatever_the_host_answers(words: tuple[str, ...], restored: tuple[str, ...]) -> None:
    """And nowhere else."""
    assert to_restore(ROLLING, answers(*words)) == restored


def test_hosts_of_which_nothing_is_known_are_named() -> None:
    """A host is never taken for one that succeeded."""
    assert unknown(answers("1.0", "?", "?!")) == ("web-2", "web-3")
    assert having(SERVING, answers("1.0", "?!")) == ()


@given(st.lists(st.sampled_from(["1.0", "1.1", "-", "?", "1.2", "1.1!", "1.0!", "?!", "-!"]), min_size=1, max_size=12))
def test_whatever_hosts_answer_the_share_is_the_hosts_and_no_doubt_is_silent(words: list[str]) -> None:
    """A host without an answer, or with a third version, is always named; the noted versions stay."""
    found = place(ROLLING, *words)
    given = answers(*words)
    assert (found["baseline"], found["canary"], found["previous"]) == ("1.0", "1.1", "0.9")
    assert found["percent"] == share_of(sum(word in {"1.1", "1.1!", "?!"} for word in words), len(words))
    for one, word in zip(given, words, strict=True):
        assert not word.startswith(("?", "1.2")) or one.host in found["trouble"]
    assert set(having(ROLLING, given)) <= set(to_restore(ROLLING, given))


@pytest.mark.parametrize(
    ("known", "words", "instead"),
    [
        (SERVING, ("1.1", "1.1"), "1.1"),
        (SERVING, ("1.1", "?"), "1.1"),  # a rollback goes on without a host that does not answer
        (SERVING, ("1.1", "1.0"), None),
        (SERVING, ("1.1", "1.2"), None),
        (SERVING, ("1.1", "-"), None),
        (SERVING, ("?", "?"), None),
        (SERVING, ("1.0", "1.0"), None),
        (SERVING, ("-", "-"), None),
        (ROLLING, ("1.2", "1.2"), None),
        (NEVER, ("1.1", "1.1"), None),
    ],
)
def test_what_others_deployed_is_named_if_every_host_that_answers_says_the_same(
    known: Known, words: tuple[str, ...], instead: str | None
) -> None:
    """What was deployed last stays the baseline; hosts that do not agree are in trouble alone."""
    found = place(known, *words)
    assert (found.get("instead"), found["baseline"]) == (instead, "1.1" if known is NEVER else known["baseline"])
    assert instead is None or "trouble" in found
