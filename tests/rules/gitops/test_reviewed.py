"""What Git says where a release would edit it."""

from __future__ import annotations

from dataclasses import replace

from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.reviewed import Place, differing, review, steps_of
from tasks.rules.gitops.targets import YamlPath

FILES = {"a.yaml": b"image:\n  tag: '1.0'\n  name: web # ours\n", "b.yaml": b"tag: v1.0\n"}
EDITS = (Edit("a.yaml", YamlPath("image.tag"), "1.1"), Edit("b.yaml", YamlPath("tag"), "v1.1"))
SERVING = (Edit("a.yaml", YamlPath("image.tag"), "1.0"), Edit("b.yaml", YamlPath("tag"), "v1.0"))


def test_a_review_has_places_values_and_the_diff() -> None:
    """The quotes belong to the file, not to the value."""
    found = review("abc", FILES, EDITS)
    assert (found.head, found.places) == ("abc", (Place("a.yaml", 2, "1.0"), Place("b.yaml", 1, "v1.0")))
    assert "-  tag: '1.0'\n+  tag: '1.1'\n" in found.diff
    assert "-tag: v1.0\n+tag: v1.1\n" in found.diff
    assert review("abc", FILES, SERVING).diff == ""
    assert review("abc", FILES, [replace(edit, expected="0.9") for edit in EDITS]) == found


def test_what_is_not_as_it_should_be_is_named_with_its_line() -> None:
    """Nothing if all is."""
    places = review("abc", FILES, EDITS).places
    assert differing(places, SERVING) == []
    assert differing(places, EDITS) == ["a.yaml:2 says `1.0`, not `1.1`", "b.yaml:1 says `v1.0`, not `v1.1`"]


def test_what_is_approved_does_not_depend_on_the_lines_around() -> None:
    """A colleague's commit elsewhere in the file does not void an approval; one to the value does."""
    lines = steps_of(review("abc", FILES, EDITS).places, EDITS)
    moved = {**FILES, "a.yaml": b"# new\n\n" + FILES["a.yaml"]}
    assert steps_of(review("def", moved, EDITS).places, EDITS) == lines
    other = {**FILES, "a.yaml": FILES["a.yaml"].replace(b"1.0", b"1.0.1")}
    assert steps_of(review("def", other, EDITS).places, EDITS) != lines
    assert len(lines) == 2
