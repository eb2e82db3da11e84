"""Rules of the script platform, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput, Permanent
from blocks.script.words import OWED, Act, Known, Running, check_version, fault_of, filled, position_of, read_status, unknown_placeholders
from tasks.rules.rollout.rollback import choose_rollback

VERSIONS = st.text("1aZ._+-", min_size=1, max_size=8).map(lambda rest: f"1{rest}")
KNOWN = Known(baseline="1.0", canary=None, previous="0.9", touched=False)


def place(known: Known, seen: Running, *, splits: bool) -> tuple[str | None, str | None, int, str | None]:
    """Give baseline, canary, share and previous."""
    position = position_of(known, seen, splits=splits, owner=None, generation=3)
    return position["baseline"], position["canary"], position["percent"], position["previous"]


def test_only_whole_known_names_are_filled_and_nothing_twice() -> None:
    """What else stands in braces stays, and a value that looks like a placeholder is a value."""
    command = ["./deploy.sh", "--to={version}", "{previous}", "{ version }", "{versions}", "${HOME}", "{percent}", "$(id)"]
    values = {"service": "shop", "version": "{previous}", "previous": "1.0", "percent": "25"}
    assert filled("deploy", command, values) == [
        "./deploy.sh", "--to={previous}", "1.0", "{ version }", "{versions}", "${HOME}", "{percent}", "$(id)",
    ]  # fmt: skip
    assert unknown_placeholders("deploy", command) == ["{percent}"]
    assert unknown_placeholders("shift", command) == []


@given(VERSIONS, VERSIONS)
def test_a_filled_word_stays_one_argument(version: str, previous: str) -> None:
    """However it looks, it is neither split nor an option of its own."""
    found = filled("rollback", ["x", "{version}", "{previous}"], {"version": version, "previous": previous, "service": "s"})
    assert found == ["x", version, previous]
    assert not version.startswith("-")


@pytest.mark.parametrize("version", ["", "-rf", "1.0 2", "1;id", "$(id)", "1\n", "../1", "a" * 129])
def test_what_is_not_a_version_is_refused(version: str) -> None:
    """Before any script sees it."""
    with pytest.raises(BadInput, match="version"):
        check_version(version)


@pytest.mark.parametrize(
    ("output", "splits", "wanted"),
    [
        ("", False, Running(None)),
        ("\n", True, Running(None)),
        ("-\n", False, Running(None)),
        ("1.0\n", False, Running("1.0")),
        ("  1.0  ", True, Running("1.0")),
        ("1.0 1.1 25\n", True, Running("1.0", "1.1", 25)),
        ("- 1.1 0%", True, Running(None, "1.1", 0)),
    ],
)
def test_status_says_what_runs_in_one_line(output: str, splits: bool, wanted: Running) -> None:  # noqa: FBT001 - a table
    """Nothing, a version, or two with a share."""
    assert read_status(output, splits=splits) == wanted


@pytest.mark.parametrize(
    ("output", "splits"),
    [("1.0\n1.1\n", False), ("version: 1.0", False), ("1.0 1.1 25", False), ("1.0 1.1", True), ("1.0 1.1 101", True), ("1.0 - 5", True),
     ("1.0 1.1 -5", True), ("--all", False), ("\x1b[31m1.0", False), ("<html>", True)],
)  # fmt: skip
def test_any_other_status_is_a_fault(output: str, splits: bool) -> None:  # noqa: FBT001 - a table
    """It is never guessed what runs."""
    with pytest.raises(Permanent, match="`status` printed"):
        read_status(output, splits=splits)


@given(st.text(max_size=40), st.booleans())
def test_whatever_status_prints_is_read_or_refused(output: str, splits: bool) -> None:  # noqa: FBT001 - a property
    """A share is one, and a version a version."""
    try:
        found = read_status(output, splits=splits)
    except Permanent:
        return
    assert 0 <= found.percent <= 100
    for version in (found.serves, found.canary):
        if version is not None:
            check_version(version)


ONE_STEP = [
    (KNOWN, Running("1.0"), ("1.0", None, 0, "0.9")),
    (KNOWN, Running("1.5"), ("1.0", None, 0, "0.9")),  # changed by hand, or the bad version says so
    (KNOWN, Running("0.9"), ("1.0", None, 0, "0.9")),
    (Known(baseline=None, canary=None, previous=None, touched=False), Running("1.0"), ("1.0", None, 0, None)),
    (Known(baseline="1.0", canary="1.1", previous="0.9", touched=True), Running("1.0"), ("1.0", "1.1", 0, "0.9")),
    (Known(baseline="1.0", canary="1.1", previous="0.9", touched=True), Running("1.1"), ("1.0", "1.1", 100, "0.9")),
    (Known(baseline=None, canary="1.0", previous=None, touched=True), Running(None), (None, "1.0", 0, None)),
    (KNOWN, Running(None), ("1.0", None, 0, "0.9")),  # it crashed: what came before it stays the version to return to
    (Known(baseline="1.0", canary="1.1", previous="0.9", touched=True), Running(None), ("1.0", "1.1", 0, "0.9")),
]
SPLIT = [
    (KNOWN, Running("1.0"), ("1.0", None, 0, "0.9")),
    (KNOWN, Running("1.0", "1.1", 25), ("1.0", "1.1", 25, "0.9")),
    (KNOWN, Running("0.9"), ("1.0", None, 0, "0.9")),
    (KNOWN, Running("0.9", "1.0", 25), ("1.0", None, 0, "0.9")),
    (Known(baseline="1.0", canary="1.1", previous="0.9", touched=True), Running("0.8", "1.1", 25), ("1.0", "1.1", 25, "0.9")),
    (Known(baseline="1.0", canary="1.1", previous="0.9", touched=True), Running("0.8"), ("1.0", "1.1", 0, "0.9")),
    (Known(baseline="1.0", canary="0.9", previous="0.9", touched=False, owed=[*OWED]), Running("0.9"), ("1.0", "0.9", 0, "0.9")),
    (
        Known(baseline="1.1", canary=None, previous="1.0", touched=False),
        Running("1.0", "1.1", 100),
        ("1.1", None, 0, "1.0"),
    ),  # promoted, not retired
    (
        Known(baseline="1.0", canary="1.1", previous="0.9", touched=True),
        Running("1.1"),
        ("1.1", None, 0, "1.0"),
    ),  # retired, the note is missing
    (KNOWN, Running(None), ("1.0", None, 0, "0.9")),
    (KNOWN, Running(None, "1.1", 25), ("1.0", "1.1", 25, "0.9")),  # the baseline crashed
    (Known(baseline="1.0", canary="1.1", previous="0.9", touched=True), Running(None), ("1.0", "1.1", 0, "0.9")),
    (Known(baseline="1.0", canary="1.1", previous="0.9", touched=True), Running("1.0"), ("1.0", "1.1", 0, "0.9")),  # half a deployment
    (Known(baseline="1.0", canary="1.1", previous="0.9", touched=False), Running("1.0"), ("1.0", None, 0, "0.9")),
]


@pytest.mark.parametrize(("known", "seen", "wanted"), ONE_STEP)
def test_in_one_step_what_runs_says_who_has_the_requests(known: Known, seen: Running, wanted: tuple[object, ...]) -> None:
    """The canary has all of them or none."""
    assert place(known, seen, splits=False) == wanted


@pytest.mark.parametrize(("known", "seen", "wanted"), SPLIT)
def test_with_shares_status_says_all(known: Known, seen: Running, wanted: tuple[object, ...]) -> None:
    """Notes only tell what it cannot: what came before, and what was promoted."""
    assert place(known, seen, splits=True) == wanted


@pytest.mark.parametrize("serves", ["1.5", None])
def test_a_third_version_beside_a_canary_is_trouble(serves: str | None) -> None:
    """Where neither of the two runs, the share is not known."""
    known = Known(baseline="1.0", canary="1.1", previous=None, touched=True)
    assert "neither" in position_of(known, Running(serves), splits=False, owner="r", generation=1)["trouble"]


@pytest.mark.parametrize("splits", [False, True])
@given(st.one_of(st.just("1.0"), VERSIONS), st.sampled_from([("2.0", "previous"), (None, "previous"), (None, "1.0"), ("2.0", "1.0")]))
def test_whatever_status_prints_after_a_promotion_a_rollback_brings_the_earlier_version(
    splits: bool,  # noqa: FBT001 - a property
    printed: str,
    asked: tuple[str | None, str],
) -> None:
    """Automatic, on demand, or by name: the bad version may answer `status`; a release is stopped by trouble."""
    known = Known(baseline="2.0", canary=None, previous="1.0", touched=False)
    found = position_of(known, Running(printed), splits=splits, owner=None, generation=3)
    choice = choose_rollback(baseline=found["baseline"], canary=found["canary"], previous=found["previous"], bad=asked[0], to=asked[1])
    assert (choice.kind, choice.version) == ("redeploy", "1.0")
    assert printed == "2.0" or "was deployed here last" in found["trouble"]


@pytest.mark.parametrize("splits", [False, True])
@given(st.sampled_from(["1.0", None]), st.sampled_from(["1.1", None]), st.sampled_from(["0.9", None]), st.booleans())
def test_nothing_that_runs_leaves_the_noted_versions(
    splits: bool,  # noqa: FBT001 - a property
    baseline: str | None,
    canary: str | None,
    previous: str | None,
    touched: bool,  # noqa: FBT001 - a property
) -> None:
    """So that a rollback knows what to return to, whatever crashed."""
    known = Known(baseline=baseline, canary=canary, previous=previous, touched=touched)
    assert place(known, Running(None), splits=splits) == (baseline, canary, 0, previous)


@pytest.mark.parametrize("splits", [False, True])
def test_a_crashed_baseline_can_be_released_over(splits: bool) -> None:  # noqa: FBT001 - a table
    """Until a script ran for the canary there is nothing in it that the release did; then it is trouble."""
    known = Known(baseline="1.0", canary="1.1", previous=None, touched=False)
    found = position_of(known, Running(None), splits=splits, owner="r", generation=1)
    assert "trouble" not in found
    assert fault_of(Act("shift", "1.1", "1.0", 25), Running(None, "1.1", 25), splits=True) == ""
    found = position_of({**known, "touched": True}, Running(None), splits=splits, owner="r", generation=1)
    assert "neither" in found["trouble"]


def test_a_status_that_cannot_be_read_is_trouble() -> None:
    """The position is by the notes."""
    known = Known(baseline="1.0", canary="1.1", previous="0.9", touched=True)
    found = position_of(known, None, splits=True, owner="r", generation=1, fault="it exited with 7")
    assert (found["baseline"], found["canary"], found["percent"], found["previous"]) == ("1.0", "1.1", 0, "0.9")
    assert found["trouble"] == "it exited with 7"


@pytest.mark.parametrize(
    ("act", "splits", "done", "not_done"),
    [
        (Act("deploy", "1.1", "1.0"), False, Running("1.1"), Running("1.0")),
        (Act("deploy", "1.1", "1.0"), True, Running("1.0", "1.1", 0), Running("1.0")),
        (Act("shift", "1.1", "1.0", 25), True, Running("1.0", "1.1", 25), Running("1.0", "1.1", 20)),
        (Act("promote", "1.1", "1.0"), True, Running("1.1"), Running("1.0", "1.1", 100)),
        (Act("rollback", "1.1", "1.0"), True, Running("1.0"), Running("1.0", "1.1", 0)),
        (Act("rollback", "1.1", ""), False, Running(None), Running("1.1")),
    ],
)
def test_an_effect_is_brought_about_if_status_says_so(act: Act, splits: bool, done: Running, not_done: Running) -> None:  # noqa: FBT001
    """And else its fault says what runs and what should."""
    assert fault_of(act, done, splits=splits) == ""
    assert "`status` prints" in fault_of(act, not_done, splits=splits)
