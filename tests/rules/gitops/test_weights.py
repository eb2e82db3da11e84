"""Weights in Git: what each commit of a canary sets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.errors import BadInput, WorldMoved
from tasks.rules.gitops.edit import Edit, apply_edit
from tasks.rules.gitops.message import Change
from tasks.rules.gitops.reviewed import review
from tasks.rules.gitops.targets import YamlPath
from tasks.rules.gitops.weights import Of, Shift, changes_something, expect_home, home_edits, weight_edits

ROUTE = b"""# ours
kind: HTTPRoute
metadata: {name: web}
spec:
  rules:
    - backendRefs: # 1
        - {name: web, port: 80, weight: 100} # all
        - {name: web-canary, port: 80,   weight: 0}
    - backendRefs:
        - name: web
          weight: 100
        - name: web-canary
          weight: 0   # none
"""
CHANGE = Change(
    key="r1/web/1.1/a", edits=(), service="web", version="1.1", release="r1", digest="d", approvers=(), reason="the basket", token=1
)
SHARES = st.integers(1, 100)


@dataclass
class Weight:
    """A weight as a block has it."""

    path: str
    of: Of
    file: str = "route.yaml"
    resource: str = ""


WEIGHTS = [Weight(f"spec.rules[{rule}].backendRefs[{side}].weight", of) for rule in (0, 1) for side, of in ((0, "baseline"), (1, "canary"))]


def applied(content: bytes, edits: tuple[Edit, ...]) -> bytes:
    """Make the edits of a commit."""
    for edit in edits:
        content = apply_edit(content, edit).content
    return content


def shift(before: int, after: int) -> Shift:
    """Write a shift."""
    return Shift(replace(CHANGE, edits=weight_edits(WEIGHTS, before=before, after=after)), before, after)


def places(content: bytes, weights: Any = WEIGHTS) -> Any:
    """Read the weights."""
    return review("head", {"route.yaml": content}, weight_edits(weights, before=0, after=0)).places


def sums(content: bytes) -> list[tuple[int, int]]:
    """Read each rule's sum, and the canary's weight."""
    rules = [[one["weight"] for one in rule["backendRefs"]] for rule in yaml.safe_load(content)["spec"]["rules"]]
    return [(sum(weights), weights[1]) for weights in rules]


@settings(max_examples=20)
@given(shares=st.lists(SHARES, min_size=1, max_size=4), pushed=st.booleans())
def test_the_weights_are_100_in_each_commit_and_home_is_the_file_from_before(shares: list[int], *, pushed: bool) -> None:
    """Whatever shares a release goes through, and whether its last commit was pushed or not."""
    content, before = ROUTE, 0
    newest: Shift | None = None
    for number, share in enumerate(shares):
        if share == before:
            continue
        newest = shift(before, share)
        made = applied(content, newest.change.edits)
        assert sums(made) == [(100, share), (100, share)]
        if pushed or number < len(shares) - 1:
            content, before = made, share
    assert newest is not None
    home = applied(content, home_edits(newest, places(content)))
    assert home == ROUTE
    assert applied(home, home_edits(newest, places(home))) == ROUTE


@settings(max_examples=20)
@given(before=SHARES, after=SHARES, theirs=st.lists(st.integers(0, 100), min_size=4, max_size=4))
def test_the_weights_of_another_commit_are_never_overwritten(before: int, after: int, theirs: list[int]) -> None:
    """Neither by the next share nor on the way home, also where only one of them was changed."""
    if before == after:
        return
    ours = [[value for share in (one, one) for value in (100 - share, share)] for one in (before, after, 0)]
    content = applied(
        ROUTE, tuple(replace(edit, value=value, expected=None) for edit, value in zip(shift(0, 1).change.edits, theirs, strict=True))
    )
    if theirs in ours:
        assert applied(content, home_edits(shift(before, after), places(content))) == ROUTE
        return
    with pytest.raises(WorldMoved, match="another commit changed it"):
        home_edits(shift(before, after), places(content))
    if any(value not in pair for value, pair in zip(theirs, zip(*ours[:2], strict=True), strict=True)):
        with pytest.raises(WorldMoved, match="another commit changed it"):
            applied(content, shift(before, after).change.edits)


@pytest.mark.parametrize(("before", "after"), [(50, 100), (0, 50), (50, 25), (25, 75), (100, 0), (50, 0)])
def test_a_share_of_half_is_told_apart_from_its_rest(before: int, after: int) -> None:
    """The baseline ends with all of it."""
    content = applied(applied(ROUTE, shift(0, before).change.edits) if before else ROUTE, shift(before, after).change.edits)
    assert applied(content, home_edits(shift(before, after), places(content))) == ROUTE


def test_a_weight_that_is_not_at_rest_is_named_with_its_line() -> None:
    """Nothing is built upon it."""
    expect_home(places(ROUTE), WEIGHTS)
    moved = ROUTE.replace(b"weight: 0   # none", b"weight: 5   # none")
    with pytest.raises(WorldMoved, match=r"route\.yaml:13 says `5`, not `0`\. Give the baseline the weight 100 and the canary 0"):
        expect_home(places(moved), WEIGHTS)


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (Weight("spec..weight", "canary"), r"weights\[1\].path: `spec..weight` is not a path"),
        (Weight("weight", "canary", file="../route.yaml"), r"weights\[1\].file: the path '../route.yaml' leaves the repository's files"),
    ],
)
def test_a_weight_that_cannot_be_is_refused_by_its_number(weight: Weight, said: str) -> None:
    """Field and fix stay what they are."""
    with pytest.raises(BadInput, match=said):
        weight_edits([WEIGHTS[0], weight], before=0, after=25)


def test_a_change_that_sets_what_is_there_changes_nothing() -> None:
    """As the canary's image of a version that was tried before."""
    image = Edit("a.yaml", YamlPath("image.tag"), "1.1", "1.0")
    guard = weight_edits(WEIGHTS, before=0, after=0)
    assert changes_something(replace(CHANGE, edits=(image, *guard)))
    assert not changes_something(replace(CHANGE, edits=(replace(image, expected="1.1"), *guard)))
