"""Templates of the page that documents a deployment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.documentation.template import own_template
from tasks.rules.documentation.template import BLOCKS, INLINE, NAMES, faults_of, filled

GOOD = [
    "# {{ service }} {{version}}\n\n{{ checks }}\n",
    "See [the ticket](https://tickets.example/1) for {{ reason }}.",
    "- {{ requester }}\n- `run` in one line of code, {{ run }} and { single } braces",
    "**{{ service }}** v{{ version }} ({{ outcome }}), {{ service }}-{{ version }}. \\` ``a ` b`` {{ run }}",
    "```sh\nkubectl get pods\n```\n\n{{ course }}",
]
BAD = {
    "{{ verison }}": "Did you mean `{{ version }}`?",
    "{{ service.__class__ }}": "is not known",
    "{{ }}": "is not known",
    "{{ service": "no code runs in a template",
    "{% for x in y %}": "no code runs in a template",
    "<script>alert(1)</script>": "it has HTML",
    "<!-- {{ reason }} -->": "it has HTML",
    "<https://example.org>": "it has HTML",
    "<{{ reason }}>": "it has HTML",
    "a <{{ service }} b": "it has HTML",
    "[x]({{ reason }})": "in the address of a link",
    "[x](\n{{ reason }})": "in the address of a link",
    "[x](https://ci.example/{{ version }})": "in the address of a link",
    "![x]( {{ reason }} )": "in the address of a link",
    "[x]: {{ reason }}": "in the address of a link",
    "[x]:\n{{ reason }}": "in the address of a link",
    "[x]{{ reason }}": "right behind a bracket or backslash",
    "\\{{ reason }}": "right behind a bracket or backslash",
    "```mermaid\n{{ reason }}\n```": "in a block of code",
    "> ~~~\n> {{ reason }}": "in a block of code",
    "```{{ reason }}\n```": "in a block of code",
    "- ````\n  ```\n  {{ reason }}": "in a block of code",
    "`{{ run }}`": "is in code",
    "a `` b ` {{ run }} ``": "is in code",
    "`a \\` {{ run }} ` b": "a backtick that its line does not close",
    "# a ` b\ntext ` {{ run }} `": "a backtick that its line does not close",
    "a ` b\n{{ run }}": "a backtick that its line does not close",
    "    {{ run }}": "is in code",
    "\t{{ run }}": "is in code",
    "https://ci.example{{ reason }}": "in one word with an address",
    "(HTTPS://ci.example/{{ reason }})": "in one word with an address",
    "www.ci{{ reason }}": "in one word with an address",
    "www{{ reason }}": "in one word with an address",
    "https:{{ reason }}": "in one word with an address",
    "{{ requester }}@ci.example": "in one word with an address",
    "ada@{{ reason }}": "in one word with an address",
    "{{ reason }}://ci.example": "in one word with an address",
    "{{ service }}{{ reason }}": "in one word with an address",
    "{{ service }}.{{ reason }}": "in one word with an address",
    "Checks: {{ checks }}": "alone in its line",
    "    {{ checks }}": "alone in its line",
}


def test_our_own_template_can_be_filled_in_and_names_everything_once_at_least() -> None:
    """It is what a plan without a template gets."""
    assert faults_of(own_template()) == []
    assert [name for name in NAMES if f"{{{{ {name} }}}}" not in own_template()] == ["requester", "approvers"]  # who `people` names


@pytest.mark.parametrize("text", GOOD)
def test_plain_markdown_with_names_is_taken(text: str) -> None:
    """Whatever does not name anything stays as it is."""
    assert faults_of(text) == []


@pytest.mark.parametrize(("text", "said"), BAD.items())
def test_what_cannot_be_filled_in_safely_is_refused_with_its_line(text: str, said: str) -> None:
    """Code, HTML, and names where text of others could act."""
    faults = faults_of(f"# Deployment\n\n{text}\n")
    assert said in " ".join(f"{one.wrong} {one.fix}" for one in faults)
    assert {one.line for one in faults} <= set(range(3, 6))


@given(st.dictionaries(st.sampled_from(INLINE), st.text(max_size=30)))
def test_what_is_filled_in_is_not_looked_through_again(given_values: dict[str, str]) -> None:
    """A reason that reads like a name stays a reason."""
    values = (
        dict.fromkeys(NAMES, "x") | {name: value.replace("\n", " ") for name, value in given_values.items()} | {"reason": "{{ digest }}"}
    )
    assert "{{ digest }}" in filled("a {{ reason }} b {{ service }}", values)


def test_a_block_without_content_leaves_its_line_out() -> None:
    """No hole is left where there is nothing to say."""
    assert filled("a\n\n{{ why }}\n\nb\n", dict.fromkeys(BLOCKS, "")) == "a\n\nb\n"
