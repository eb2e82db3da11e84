"""What is done next about a change that goes in by a pull request, and what the pull request is called and says."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.git.remote import check_branch
from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.message import Change, message_of, trailers_of
from tasks.rules.gitops.proposal import Can, Standing, body_of, branch_of, next_move, title_of
from tasks.rules.gitops.targets import YamlPath

BRANCHES, REQUESTS, CANS = ("absent", "ours", "others"), ("none", "open", "merged", "closed"), get_args(Can)
ALL = [Standing(*one) for one in product((False, True), BRANCHES, REQUESTS, CANS, (False, True))]
CHANGE = Change("r1/shop/1.1.0/ab12", (Edit("a.yaml", YamlPath("a"), "1.1.0"),), "shop", "1.1.0", "r1", "d", ("ann",), "why", 7)
TEXT = st.text(min_size=1, max_size=60)


def at(branch: Any, request: Any, can: Any, *, merges: bool = False, landed: bool = False) -> Standing:
    """Write a standing."""
    return Standing(landed, branch, request, can, merges)


@pytest.mark.parametrize(
    ("standing", "move"),
    [
        (at("absent", "none", "waits"), "push"),
        (at("ours", "none", "waits"), "open"),
        (at("ours", "open", "ready"), "wait"),
        (at("ours", "open", "ready", merges=True), "merge"),
        (at("ours", "open", "waits", merges=True), "wait"),
        (at("ours", "open", "stale"), "push"),
        (at("ours", "open", "behind"), "wait"),
        (at("ours", "open", "behind", merges=True), "push"),
        (at("others", "open", "ready", merges=True), "wait"),
        (at("others", "none", "waits", merges=True), "refused"),
        (at("absent", "closed", "waits", merges=True), "refused"),
        (at("absent", "merged", "waits", merges=True), "wait"),
        (at("absent", "closed", "waits", merges=True, landed=True), "landed"),
    ],
)
def test_the_next_move_is_that_of_a_careful_person(standing: Standing, move: str) -> None:
    """One case each."""
    assert next_move(standing) == move


@pytest.mark.parametrize("standing", ALL)
def test_no_standing_leads_to_harm(standing: Standing) -> None:
    """Of all there are: what is there is done; no second one; nothing of others is merged, or replaced, by us."""
    move = next_move(standing)
    assert (move == "landed") == standing.landed
    if move == "open":
        assert (standing.request, standing.branch) == ("none", "ours")
    if move == "push":
        assert standing.branch != "others"
        assert standing.request in {"none", "open"}
    if move == "merge":
        assert (standing.branch, standing.request, standing.can, standing.merges) == ("ours", "open", "ready", True)


@given(service=TEXT, release=TEXT, key=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,80}", fullmatch=True))
def test_a_branch_is_a_plain_name_of_one_change(service: str, release: str, key: str) -> None:
    """Whatever service and release are called; the revert has another, and so has another change."""
    change = replace(CHANGE, service=service, release=release, key=key)
    names = {branch_of(change), branch_of(change, reverts=True), branch_of(replace(change, key=f"{key}x"))}
    assert len(names) == 3
    assert all(check_branch(name) == name and name.startswith("shipway/") for name in names)
    assert branch_of(change) == branch_of(replace(change, token=8, version="2"))


@given(diff=st.text(max_size=300), reason=st.text(max_size=100))
def test_no_text_leaves_its_place_in_the_description(diff: str, reason: str) -> None:
    """A diff cannot end its block, and a reason stays one line of code."""
    change = replace(CHANGE, reason=reason)
    body = body_of(change, diff=diff, trailers=trailers_of(message_of(CHANGE)))
    assert body.count("```") == 2
    assert all(line.count("`") == 2 for line in body.splitlines() if line.startswith("- ") and line.endswith("`"))
    assert "\nShipway-Change: r1/shop/1.1.0/ab12\n" in body


def test_a_title_is_the_subject_of_the_commit() -> None:
    """So that a squash looks like any other commit of ours."""
    assert title_of(CHANGE) == message_of(CHANGE).splitlines()[0] == "Deploy shop 1.1.0"
    assert title_of(CHANGE, reverts=True) == "Revert shop 1.1.0"
