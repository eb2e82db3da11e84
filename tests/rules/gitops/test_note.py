"""The note of a change that is under way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from blocks.errors import WorldMoved
from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.message import KEY, Change, check_change
from tasks.rules.gitops.note import Note, key_of, read_note, write_note
from tasks.rules.gitops.targets import ApplicationRevision, KustomizeImage, YamlPath
from tasks.rules.gitops.weights import Shift

CHANGE = Change(
    key="r1/shop/web/1.1/abc",
    edits=(
        Edit("a.yaml", YamlPath("image.tag", "Deployment/web"), "1.1", "1.0"),
        Edit("b.yaml", KustomizeImage("web", "newName"), "web-1.1", "web-1.0"),
        Edit("c.yaml", ApplicationRevision(1, None), "1.1", None),
        Edit("d.yaml", YamlPath("replicas"), 3, 2),
    ),
    service="web",
    version="1.1",
    release="r1",
    digest="d",
    approvers=("ann", "bob"),
    reason="the basket",
    token=7,
)
NOTE = Note(CHANGE, "a" * 40, "1.0")


def test_a_note_is_read_as_it_was_written() -> None:
    """Each kind of target, and text and numbers as values."""
    weights = replace(NOTE, shift=Shift(CHANGE, 25, 50), promotion=replace(CHANGE, step="as the baseline"), promoting=True)
    for note in (NOTE, NOTE.owed("revert", why="Git does not answer"), weights):
        assert read_note(write_note(note)) == note


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"change": {}}', write_note(NOTE).replace('"kind": "path"', '"kind": "file"')])
def test_a_note_that_others_changed_is_not_guessed(text: str) -> None:
    """Where it stands and what to do is said."""
    with pytest.raises(WorldMoved, match=r"remove the annotation shipway\.dev/gitops"):
        read_note(text)


def test_a_change_made_again_has_another_key() -> None:
    """All else stays."""
    again = NOTE.again("def")
    assert again.change.key == "r1/shop/web/1.1/def"
    assert again.change.edits == NOTE.change.edits


def test_a_key_is_one_whatever_it_is_made_of() -> None:
    """Long names are cut before the part that makes it unique."""
    assert key_of("run 1", "shop/web", "1.1+a", nonce="abc") == "run-1/shop/web/1.1-a/abc"
    long = key_of("r" * 300, nonce="abc")
    assert KEY.fullmatch(long)
    assert long.endswith("/abc")
    check_change(CHANGE)


def test_a_hold_has_one_name_for_whoever_undoes_the_change() -> None:
    """That of the release which committed, if no older hold goes on."""
    assert NOTE.holds == "r1"
    assert Note(CHANGE, "", "1.0", holder="r0").holds == "r0"
