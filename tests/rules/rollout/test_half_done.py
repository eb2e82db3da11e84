"""Where a rollback failed, whatever never comes up: what it holds up, what finishes it, and that only a person turns it round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rules.rollout.left import (
    PREVIOUS,
    PROMOTION,
    Left,
    all_as_meant,
    brought_by,
    is_half_done,
    is_under_way,
    may_have_requests,
    stays_after_all,
    to_go_on,
    version_left,
)
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback, version_meant

NOW = datetime(2026, 11, 30, 3, 10, tzinfo=UTC)
OLD, GOOD, BAD, FIX = "0.9", "1.0", "2.0", "2.1"
Kind = Literal["in place", "beside", "script in one step"]
KINDS: tuple[Kind, ...] = ("in place", "beside", "script in one step")
STEPS = ("prepare", "shift", "half a shift", "promote", "abort")


class Failed(Exception):
    """An effect failed."""


@dataclass
class Place:
    """An environment in memory, with what is kept beside the key.

    Fields:
        served: Who has requests, after each effect.
        kind: How a version comes into service.
        fails: By version the effect that fails each time.
    """

    kind: Kind
    fails: dict[str, str] = field(default_factory=dict)
    baseline: str = BAD
    canary: str | None = None
    percent: int = 0
    idle: bool = False
    up: set[str] = field(default_factory=lambda: {BAD})
    last: Left | None = None
    named: dict[str, Left] = field(default_factory=dict)
    served: list[set[str]] = field(default_factory=list)
    runs: int = 0

    @property
    def in_place(self) -> bool:
        """Whether a version replaces the baseline in its place."""
        return self.kind != "beside"

    def position(self) -> dict[str, Any]:
        """Say what runs, as a platform does; no run owns it between rollbacks."""
        ready = {one: one in self.up for one in (self.baseline, self.canary) if one}
        found = {"baseline": self.baseline, "canary": self.canary, "percent": self.percent, "previous": GOOD, "owner": None, "ready": ready}
        return {**found, **({"idle": True} if self.idle else {})}

    def serves(self) -> set[str]:
        """Say who has requests: in place, what is up, else by the share."""
        if self.canary is None or not may_have_requests(self.position(), in_place=self.in_place):
            return {self.baseline}
        return {self.canary} if self.percent in {0, 100} else {self.canary, self.baseline}

    def half_done(self) -> bool:
        """Say whether a release of the fix is refused."""
        return is_half_done(self.position(), self.last, version=FIX, is_left=self.baseline in self.named, in_place=self.in_place)

    def do(self, effect: str, version: str) -> None:
        """Do something to a version, which may fail."""
        fault = self.fails.get(version, "")
        half = effect == "shift" and fault == "half a shift"
        if effect == "prepare":
            self.canary, self.percent, self.idle = version, 0, False
            self.up |= {version} if self.kind == "beside" and fault != "prepare" else set()
        elif effect == "shift" and self.kind == "in place":
            self.percent, self.idle = 100, fault == "shift"
            self.up |= set() if self.idle else {version}
        elif effect == "shift" and self.kind == "script in one step":
            self.percent = 0 if fault in {"shift", "half a shift"} else 100
            self.up = self.up if fault == "shift" else {version}
        elif effect == "shift":
            self.percent = self.percent if fault == "shift" else 50 if half else 100
        elif effect == "promote" and fault != "promote":
            self.baseline, self.canary, self.percent, self.idle, self.up = version, None, 0, False, {version}
        elif effect == "abort" and fault != "abort":
            self.canary, self.percent, self.idle, self.up = None, 0, False, {self.baseline}
        self.served.append(self.serves())
        if fault == effect or half:
            raise Failed(f"{effect} {version}")

    def stands(self) -> Left | None:
        """Give the rollback that is under way."""
        last, named = self.last, self.named.get(self.baseline)
        if last is not None and last.version != self.baseline and named is not None and named.run == last.run:
            last = last._replace(version=self.baseline)
        return last if is_under_way(self.position(), last) else None

    def choose(self, to: str, bad: str) -> tuple[RollbackChoice, str]:
        """Choose as `flows.rollout` puts the rules together; gives the bad version, too."""
        position, stands = self.position(), self.stands()
        meant = all_as_meant({"e": position}, {"e": self.last} if self.last else {}, to=to, at=NOW, silent=[])["e"]
        wanted = bad or version_meant(baseline=meant["baseline"], canary=meant["canary"], to=to) or ""
        to = to_go_on(position, stands, to=to, bad=wanted) if stands else to
        runs = {name: position[name] for name in ("baseline", "canary", "previous")}
        return choose_rollback(**runs, bad=wanted, to=to), wanted

    def roll_back(self, *, to: str = PREVIOUS, bad: str = "", here: bool = False) -> str:
        """Roll back; gives how it ended."""
        if to in self.named and to != self.baseline:
            return "refused"
        stands, (choice, wanted) = self.stands(), self.choose(to, bad)
        turns = choice.kind == "abort" and stands is not None
        if choice.kind not in {"abort", "redeploy"} or choice.version is None:
            return "refused"
        if choice.version in self.named and ((choice.kind == "redeploy") or (turns and not here)):
            return "refused"
        self.keep(choice, wanted, to, stands=stands)
        try:
            self.act(choice, here=here)
        except Failed:
            if self.last and stays_after_all(self.position(), self.last, in_place=self.in_place):
                self.named.pop(self.last.version, None)
            return "failed"
        return "done"

    def keep(self, choice: RollbackChoice, bad: str, to: str, *, stands: Left | None) -> None:
        """Keep what is left, before anything moves."""
        self.runs += 1
        position, brought = self.position(), brought_by(choice, self.last)
        for version in (
            version_left(position, choice, bad=bad, to=to),
            version_left(position, choice, bad=bad, to=to, goes_on=stands is not None),
        ):
            if version is not None and choice.version is not None:
                self.last = self.named[version] = Left(version, choice.version, f"r{self.runs}", NOW, brought=brought)
        if stands is not None and choice.kind == "abort" and choice.version:
            self.named.pop(choice.version, None)

    def act(self, choice: RollbackChoice, *, here: bool) -> None:
        """Act as `flows.rollout.redeploy` does."""
        version = str(choice.version)
        if choice.kind == "abort":
            self.do("abort", str(self.canary))
            return
        if self.canary not in {None, version}:
            self.make_way(str(self.canary), here=here)
        if self.canary != version or not self.percent:
            self.do("prepare", version)
        self.do("shift", version)
        self.do("promote", version)

    def make_way(self, canary: str, *, here: bool) -> None:
        """Promote what another rollback brought, or remove it."""
        if self.stands() and may_have_requests(self.position(), in_place=self.in_place):
            try:
                self.do("shift", canary)
                self.do("promote", canary)
            except Failed:
                if not here:
                    raise
            else:
                return
        try:
            self.do("abort", canary)
        except Failed:
            return


FAULTS = st.fixed_dictionaries({GOOD: st.sampled_from(["", *STEPS]), OLD: st.sampled_from(["", *STEPS])})
NAMED = st.sampled_from([{}, {"to": OLD}, {"to": GOOD}, {"bad": BAD}, {"bad": GOOD}, {"bad": OLD}, {"to": BAD}, {"bad": GOOD, "to": OLD}])


def ways(place: Place) -> Iterator[dict[str, Any]]:
    """Give the commands that the refusal of a release names."""
    yield {}
    yield {"to": OLD, "here": True}
    yield {"bad": place.canary, "here": True}


@settings(max_examples=150)
@given(st.sampled_from(KINDS), FAULTS, st.lists(NAMED, min_size=1, max_size=4))
def test_wherever_a_rollback_failed_some_command_that_the_refusal_names_leads_to_where_a_release_may_begin(
    kind: Kind, fails: dict[str, str], asked: list[dict[str, str]]
) -> None:
    """Whatever never comes up, and whatever was asked for before."""
    place = Place(kind, fails)
    for one in asked:
        place.roll_back(**one)
    if place.half_done():
        for command in ways(place):
            place.roll_back(**command)
            if not place.half_done():
                return
        raise AssertionError(place)


@settings(max_examples=150)
@given(st.sampled_from(KINDS), FAULTS, st.lists(NAMED, min_size=1, max_size=5))
def test_no_request_through_the_api_gives_requests_back_to_the_version_that_was_left(
    kind: Kind, fails: dict[str, str], asked: list[dict[str, str]]
) -> None:
    """Once it has none, by no name, whatever fails; nor does a release, which is refused while it would."""
    place = Place(kind, fails)
    for one in asked:
        before = place.serves()
        place.served.clear()
        place.roll_back(**one)
        if BAD not in before:
            assert not any(BAD in serves for serves in place.served), (place, one)
            assert place.baseline != BAD or place.half_done(), (place, one)


@settings(max_examples=150)
@given(st.sampled_from(KINDS), FAULTS, st.sampled_from([{}, {"to": OLD}, {"to": GOOD}, {"bad": BAD}]))
def test_wherever_a_rollback_to_whichever_version_ended_a_plain_one_goes_on_to_that_version(
    kind: Kind, fails: dict[str, str], asked: dict[str, str]
) -> None:
    """And gives the version that was left no request, if it has none."""
    place = Place(kind, fails)
    if place.roll_back(**asked) != "failed" or place.last is None or place.canary is None:
        return
    wanted, before = place.last.serves, place.serves()
    place.served.clear()
    place.fails.clear()
    choice, _ = place.choose(PREVIOUS, "")
    assert (choice.kind, choice.version) == ("redeploy", wanted)
    assert place.roll_back() == "done"
    assert place.baseline == wanted
    assert BAD in before or not any(BAD in serves for serves in place.served)


@settings(max_examples=150)
@given(st.sampled_from(KINDS), FAULTS, st.lists(NAMED, min_size=1, max_size=3))
def test_a_release_is_refused_only_where_what_a_rollback_brought_may_have_requests(
    kind: Kind, fails: dict[str, str], asked: list[dict[str, str]]
) -> None:
    """One that never came up holds nothing up."""
    place = Place(kind, fails)
    for one in asked:
        place.roll_back(**one)
    assert not place.half_done() or (place.canary is not None and place.serves() != {place.baseline})


@pytest.mark.parametrize(
    ("runs", "in_place", "yes"),
    [
        ({"percent": 100}, False, True),
        ({"percent": 100, "ready": {BAD: True, GOOD: False}}, False, True),
        ({"percent": 100}, True, True),
        ({"percent": 100, "idle": True}, True, False),
        ({"percent": 100, "idle": True, "trouble": "another commit changed it"}, True, True),
        ({"ready": {BAD: False, GOOD: False}}, True, False),
        ({"ready": {BAD: False, GOOD: True}}, True, True),
        ({"ready": {BAD: False}}, True, True),
        ({"ready": {BAD: True, GOOD: True}}, True, False),
        ({"ready": {BAD: False, GOOD: False}, "trouble": "`status` hangs"}, True, True),
        ({"under_way": PROMOTION}, False, True),
        ({"canary": None}, True, False),
    ],
    ids=[
        "its share", "a share of what crashed", "in place", "none of its pods is up", "who else acts there is not known",
        "its script failed before it did anything", "its script started it, and failed", "what a host runs is not known",
        "one check for all", "who has what is not known", "its promotion was begun", "none",
    ],
)  # fmt: skip
def test_whether_a_canary_may_have_requests(runs: dict[str, Any], *, in_place: bool, yes: bool) -> None:
    """By its share, and in place by what is up."""
    position = {"baseline": BAD, "canary": GOOD, "percent": 0, "ready": {BAD: True, GOOD: True}, **runs}
    assert may_have_requests(position, in_place=in_place) is yes
