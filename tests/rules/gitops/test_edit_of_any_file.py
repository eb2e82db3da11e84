"""For any YAML file, the edit changes exactly our scalar, or refuses."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from blocks.errors import BadInput
from tasks.rules.gitops.edit import Edit, apply_edit
from tasks.rules.gitops.targets import YamlPath

KEYS = st.from_regex(r"[a-z]{1,4}", fullmatch=True)
WORDS = st.one_of(
    st.sampled_from(["1.19", "v1", "1e3", "no", "", "~", "a: b", "# x", "{{ x }}", "*a", "&a", "!t", "it's", '"', "2026-01-02", "- a"]),
    st.text(max_size=12),
)
LEAVES = st.one_of(WORDS, st.integers(-9, 9_999), st.booleans(), st.none(), st.floats(allow_nan=False))
VALUES = st.one_of(WORDS, st.integers(-9, 9_999), st.from_regex(r"[ -~]{1,10}", fullmatch=True))
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12)
STYLES = st.fixed_dictionaries(
    {
        "default_style": st.sampled_from([None, "'", '"', "|", ">"]),
        "default_flow_style": st.sampled_from([None, True, False]),
        "explicit_start": st.booleans(),
        "explicit_end": st.booleans(),
        "indent": st.integers(2, 6),
        "line_break": st.sampled_from(["\n", "\r\n", "\r"]),
        "allow_unicode": st.booleans(),
        "width": st.sampled_from([10, 80, 4_096]),
    }
)


def leaves(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """List the paths of a tree's leaves."""
    if isinstance(tree, dict):
        return [found for key, value in tree.items() for found in leaves(value, f"{path}.{key}" if path else key)]
    if isinstance(tree, list):
        return [found for index, value in enumerate(tree) for found in leaves(value, f"{path}[{index}]")]
    return [(path, tree)]


@given(
    tree=st.dictionaries(KEYS, TREES, min_size=1, max_size=4),
    style=STYLES,
    value=VALUES,
    which=st.integers(0, 99),
    frame=st.tuples(st.sampled_from(["", "\ufeff", "# first\n"]), st.sampled_from(["", "# last", "\n\n"])),
    cut=st.sampled_from(["cut", "whole"]),
)
@example(tree={"a": "v1"}, style={}, value="1.20", which=0, frame=("", ""), cut="cut")
def test_exactly_our_scalar_changes_or_the_edit_is_refused(
    tree: dict[str, Any], style: dict[str, Any], value: str | int, which: int, frame: tuple[str, str], cut: str
) -> None:
    """All values but ours are read as before, ours is read as the new one, and the bytes around it are the same."""
    text = yaml.safe_dump(tree, sort_keys=False, **style)
    content = (frame[0] + (text.rstrip("\r\n") if cut == "cut" else text + frame[1])).encode()
    found = leaves(tree)
    if not found:
        return
    path, _ = found[which % len(found)]
    try:
        edited = apply_edit(content, Edit("a.yaml", YamlPath(path), value))
    except BadInput:
        return
    was, now = (dict(leaves(yaml.safe_load(one.decode().removeprefix("\ufeff")))) for one in (content, edited.content))
    ours = now.pop(path)
    assert type(ours) is type(value)
    assert ours == value
    was.pop(path)
    assert list(now.items()) == list(was.items())
    before, after = edited.before.encode(), edited.after.encode()
    places = [at for at in range(len(content) + 1) if content[at:].startswith(before)]
    assert any(content[:at] + after + content[at + len(before) :] == edited.content for at in places)


@given(text=st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"#%@` \n\r\t,.?1\ufeff"), max_size=60), value=VALUES)
@example(text="a: b\r\nb: a", value="v2")
@example(text="a: 'b'# x", value="v2")
def test_any_text_is_edited_or_refused(text: str, value: str | int) -> None:
    """Nothing but our own errors comes of text that is hardly YAML."""
    content = text.encode()
    try:
        edited = apply_edit(content, Edit("a.yaml", YamlPath("a"), value))
    except BadInput:
        return
    assert yaml.safe_load(edited.content.decode().removeprefix("\ufeff"))["a"] == value


def test_the_properties_do_edit() -> None:
    """A property over refusals alone would say nothing: of usual files most are edited."""
    made = 0
    for style in (None, "'", '"'):
        for value in ("v2", "1.20", "no"):
            content = yaml.safe_dump({"x": [1], "a": {"b": "v1"}}, default_style=style).encode()
            made += apply_edit(content, Edit("a.yaml", YamlPath("a.b"), value)).content != content
    assert made == 9
