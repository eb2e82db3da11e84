"""The edit of one value: what it changes, what it leaves, what it refuses."""

from __future__ import annotations

import pytest

from blocks.errors import BadInput, WorldMoved
from tasks.rules.gitops.edit import Edit, apply_edit, diff, restore
from tasks.rules.gitops.targets import ApplicationRevision, KustomizeImage, Target, YamlPath

DIGEST = f"sha256:{'a' * 64}"
OTHER_DIGEST = f"sha256:{'b' * 64}"
TAG = YamlPath("image.tag")


def edited(text: str | bytes, target: Target, value: str | int, *, expected: str | int | None = None) -> bytes:
    """Edit a text."""
    content = text.encode() if isinstance(text, str) else text
    return apply_edit(content, Edit("apps/web.yaml", target, value, expected)).content


KUSTOMIZATION = (
    f"images:\n- name: web   # ours\n  newTag: 1.0.0 # the tag\n- name: db\n  digest: {DIGEST}\n- name: cache\n  newName: old/cache\n"
)
SOURCES = (
    "kind: Application\nspec:\n  sources:\n  - {repoURL: https://a.example, chart: web, targetRevision: 1.0.0}\n"
    "  - repoURL: https://b.example\n    ref: values\n    targetRevision: main\n"
)
SET = "kind: ApplicationSet\nspec:\n  template:\n    spec:\n      source:\n        targetRevision: v1\n"
TWO = "kind: Deployment\nmetadata: {name: web}\nspec: {image: 'a:1'}\n---\nkind: Deployment\nmetadata: {name: api}\nspec: {image: 'a:1'}\n"
RIGHT: list[tuple[str, Target, str | int, str, str]] = [
    ("image:\n  tag: 1.0.0 # now\n", TAG, "1.1.0", "1.0.0 # now", "1.1.0 # now"),
    ("image:\n  tag: '1.0.0'\n", TAG, "1.1.0", "'1.0.0'", "'1.1.0'"),
    ('image:\n  tag: "1.0.0"\n', TAG, "1.1.0", '"1.0.0"', '"1.1.0"'),
    ('image: {tag: ""}\n', TAG, "1.1.0", '""', '"1.1.0"'),
    ("image: {tag: 1.0.0, pull: Always}", TAG, "1.1.0", "1.0.0", "1.1.0"),
    ("image:\n  tag: v1.19\n", TAG, "1.20", "v1.19", '"1.20"'),
    ("image:\n  tag: abcdef1\n", TAG, "12e4567", "abcdef1", '"12e4567"'),
    ("image:\n  tag: x\n", TAG, "0x1F", "tag: x", 'tag: "0x1F"'),
    ("image:\n  tag: x\n", TAG, "no", "tag: x", 'tag: "no"'),
    ("image:\n  tag: x\n", TAG, "2026-01-02", "tag: x", 'tag: "2026-01-02"'),
    ("image:\n  tag: 'x'\n", TAG, "it's", "'x'", "'it''s'"),
    ("weights:\n- weight: 90\n- weight: 10\n", YamlPath("weights[1].weight"), 25, "weight: 10", "weight: 25"),
    (
        "c:\n- name: a\n  image: x:1\n- name: b\n  image: x:1\n- n: 1\n",
        YamlPath("c[name=b].image"),
        "x:2",
        "b\n  image: x:1",
        "b\n  image: x:2",
    ),
    ('a:\n  "x.y/z": v1\n', YamlPath('a["x.y/z"]'), "v2", "v1", "v2"),
    ("a: &shared {x: 1}\nb: *shared\nimage: {tag: v1}\n", TAG, "v2", "v1", "v2"),
    ("# {{ a comment }}\nnote: '{{ words }}'\nimage:\n  tag: v1\n", TAG, "v2", "v1", "v2"),
    ("\ufeffimage:\r\n  tag: v1\r\n", TAG, "v2", "v1", "v2"),
    ("%YAML 1.1\n---\nimage:\n    tag:   v1   \n...\n", TAG, "v2", "v1", "v2"),
    ("é: 'ü😀'\nimage: {tag: v1}\n", TAG, "v2", "v1", "v2"),
    (KUSTOMIZATION, KustomizeImage("web"), "1.1.0", "1.0.0 #", "1.1.0 #"),
    (KUSTOMIZATION, KustomizeImage("db", "digest"), OTHER_DIGEST, DIGEST, OTHER_DIGEST),
    (KUSTOMIZATION, KustomizeImage("cache", "newName"), "new/cache", "old/cache", "new/cache"),
    (SOURCES, ApplicationRevision("web"), "1.1.0", "1.0.0", "1.1.0"),
    (SOURCES, ApplicationRevision("values"), "v2", "n: main", "n: v2"),
    (SOURCES, ApplicationRevision(1), "v2", "n: main", "n: v2"),
    (SET, ApplicationRevision(), "v2", "v1", "v2"),
    (TWO, YamlPath("spec.image", "Deployment/api"), "a:2", "api}\nspec: {image: 'a:1'", "api}\nspec: {image: 'a:2'"),
]


@pytest.mark.parametrize(("text", "target", "value", "was", "becomes"), RIGHT)
def test_only_the_value_changes(text: str, target: Target, value: str | int, was: str, becomes: str) -> None:
    """Quotes, comments, spaces, line ends and markers stay; a text stays text for every reader of YAML."""
    assert text.count(was) == 1
    assert edited(text, target, value) == text.replace(was, becomes).encode()


REFUSED: list[tuple[str, Target, str | int, int, str]] = [
    ("image:\n  tag: 1.19\n", TAG, "1.20", 2, 'Write it as text first: "1.19"'),
    ("image:\n  tag: 12e4567\n", TAG, "v1", 2, "as text first"),
    ("image:\n  tag: v1\n", TAG, 3, 2, "whole number"),
    ("image:\n  tag: v1\n  tag: v2\n", TAG, "v3", 3, "written twice, first in line 2"),
    ("a: 1\nimage:\n  tag: v1\na: 2\n", TAG, "v3", 4, "written twice"),
    ("image:\n  tag: |\n    v1\n", TAG, "v2", 2, "block"),
    ("image:\n  tag: &t v1\n", TAG, "v2", 2, "anchor"),
    ("t: &t v1\nimage:\n  tag: *t\n", TAG, "v2", 3, "alias"),
    ("image: &i\n  tag: v1\nother: *i\n", TAG, "v2", 1, "anchor"),
    ("i: &i\n  tag: v1\nimage:\n  <<: *i\n", TAG, "v2", 4, "merge key"),
    ("image:\n  tag: !!str v1\n", TAG, "v2", 2, "tag"),
    ("image: !thing\n  tag: v1\n", TAG, "v2", 1, "tag"),
    ("image:\n  tag:\n", TAG, "v2", 2, "empty"),
    ("image:\n  tag: ~\n", TAG, "v2", 2, "as text first"),
    ("image:\n  tag: '{{ .Values.tag }}'\n", TAG, "v2", 2, "template"),
    ("{{ if .Values.on }}\nimage:\n  tag: v1\n{{ end }}\n", TAG, "v2", 1, "template"),
    ("image:\n  tag: v1\nother: {{ x }}\n", TAG, "v2", 3, "template"),
    ("image:\n  tag: v1\n    more\n", TAG, "v2", 2, "several lines"),
    ("image:\n  tag: [v1]\n", TAG, "v2", 2, "sequence"),
    ("image:\n  name: x\n", TAG, "v2", 2, "is not there"),
    ("image: [\n", TAG, "v2", 2, "not YAML"),
    ("image:\n  tag: v1\n", TAG, "v2\nother: 1", 2, "unusual characters"),
    ("image:\n  tag: v1\n", TAG, "{{ x }}", 2, "template"),
    ("image:\n  tag: v1\n---\nimage:\n  tag: v1\n", TAG, "v2", 5, "several documents"),
    (TWO, YamlPath("spec.image", "Deployment/none"), "v2", 1, "0 documents"),
    (f"images:\n- name: web\n  newTag: v1\n  digest: {DIGEST}\n", KustomizeImage("web"), "v2", 4, "wins over"),
    ("images:\n- name: web\n  newTag: v1\n- name: web\n  newTag: v1\n", KustomizeImage("web"), "v2", 4, "2 items"),
    ("images:\n- name: web\n", KustomizeImage("web"), "v2", 2, "is not there"),
    (SOURCES, ApplicationRevision(), "v2", 4, "2 sources"),
    (SET, ApplicationRevision("web"), "v2", 1, "one source"),
    ("kind: Other\n", ApplicationRevision(), "v2", 1, "neither"),
    ("", TAG, "v2", 1, "empty"),
]


@pytest.mark.parametrize(("text", "target", "value", "line", "words"), REFUSED)
def test_what_is_not_safe_is_refused_with_file_line_and_fix(text: str, target: Target, value: str | int, line: int, words: str) -> None:
    """The message begins with the file and the line, and its fix is not empty."""
    with pytest.raises(BadInput) as caught:
        edited(text, target, value)
    assert caught.value.field == f"apps/web.yaml:{line}"
    assert words in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: 1\n" + b"#" * 500_001])
def test_a_file_that_is_not_text_or_too_large_is_refused(content: bytes) -> None:
    """It is named."""
    with pytest.raises(BadInput, match="web"):
        edited(content, TAG, "v2")


def test_a_digest_is_a_digest() -> None:
    """Anything else is refused before the file is looked at."""
    with pytest.raises(BadInput, match="64 hexadecimal"):
        edited(KUSTOMIZATION, KustomizeImage("db", "digest"), "latest")


@pytest.mark.parametrize("path", ["", ".a", "a..b", "a.", "a b", "a[", "a[x]", "[name=]"])
def test_what_is_not_a_path_is_refused(path: str) -> None:
    """No path is guessed at."""
    with pytest.raises(BadInput, match="path"):
        edited("a: v1\n", YamlPath(path), "v2")


def test_another_value_than_the_reviewed_one_is_not_overwritten() -> None:
    """A colleague's commit is found, with its place and both values."""
    with pytest.raises(WorldMoved, match=r"apps/web.yaml:2 says `v9`, not `v1` as reviewed"):
        edited("image:\n  tag: v9\n", TAG, "v2", expected="v1")


def test_a_value_that_is_there_already_is_left() -> None:
    """Also where another one was expected: there is nothing to do."""
    assert edited("image:\n  tag: v2\n", TAG, "v2", expected="v1") == b"image:\n  tag: v2\n"


def test_a_restored_value_is_written_as_it_was() -> None:
    """The edit put quotes around it; undone on top of another's change, they are gone again."""
    before = b"image:\n  tag: v1\n"
    edit = Edit("a.yaml", TAG, "1.20")
    after = apply_edit(before, edit).content
    assert after == b'image:\n  tag: "1.20"\n'
    assert restore(b"# new\n" + after + b"more: 1\n", edit, before=before, after=after).content == b"# new\n" + before + b"more: 1\n"


def test_a_value_that_was_changed_since_is_not_restored() -> None:
    """What another commit set is theirs."""
    with pytest.raises(WorldMoved, match="says `v3`, not `v2` as this release set it"):
        restore(b"image: {tag: v3}\n", Edit("a.yaml", TAG, "v2"), before=b"image: {tag: v1}\n", after=b"image: {tag: v2}\n")


def test_the_difference_is_a_unified_diff() -> None:
    """People read it as they know it."""
    assert diff("a.yaml", b"x: 1\ny: 2\n", b"x: 1\ny: 3\n") == "--- a/a.yaml\n+++ b/a.yaml\n@@ -1,2 +1,2 @@\n x: 1\n-y: 2\n+y: 3\n"
