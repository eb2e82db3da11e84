"""Places in PromQL: which words are places, and that no value ever leaves its quotes."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput
from tasks.rules.plan.promql import _tokens, escape, expression_fault, fill, of_all_revisions, range_query, selector_fault


@pytest.mark.parametrize(
    "expression",
    [
        'sum(http_requests_total{version="{version}", code=~"5[0-9]{2}"})',
        "sum(up{pod=~'{revision}-.*'})",
        'sum by (a) (x{version="{version}"}) # {anything} goes in a comment',
        'x{role="{role}", name=~"\\\\p{Greek}+"}',
        'x{version="{version}", path=`C:\\{2}`}',
        'x{version="a \\" {version}"}',
        '{__name__="x", version="{ version }"}',
    ],
)
def test_promqls_own_braces_go_on_working(expression: str) -> None:
    """Matchers, repetitions and classes of regular expressions, raw strings and comments are none of our places."""
    assert expression_fault(expression) is None


@pytest.mark.parametrize(
    ("expression", "wrong", "fix"),
    [
        ('x{version="{versoin}"}', "`{versoin}` is not a known placeholder", "Known are {version}, {service}"),
        ('x{version="{version}", a="{}{pod}"}', "`{pod}` is not a known placeholder", "{revision}"),
        ("x{version}", "`{version}` stands outside quotes", 'as `version="{version}"`'),
        ('x{version="{version}"} + y{foo}', "`{foo}` stands outside quotes", ""),
        ("x{version=`{version}`}", "stands in backquotes", "Use double quotes"),
        ('x{version="{version}}', "is not closed", "Close it"),
        ('x{version="{version}\n"}', "is not closed", "Close it"),
        ('sum(x{app="{service}"})', "canary and baseline would be counted together", 'version="{version}"'),
        ("sum(x)", "canary and baseline would be counted together", ""),
    ],
)
def test_what_is_not_a_place_is_named_with_its_fix(expression: str, wrong: str, fix: str) -> None:
    """A slip of the pen is found before any server reads it."""
    found = expression_fault(expression)
    assert found is not None
    assert (wrong in found[0], fix in found[1]) == (True, True), found


@pytest.mark.parametrize(
    "selector", ['version="{version}"} or up{', 'version="{version}"}[5m]', 'a="b" # c\n, version="{version}"', "(", ""]
)
def test_a_selector_holds_matchers_and_nothing_else(selector: str) -> None:
    """What would close the braces around it is refused."""
    assert selector_fault(selector) is not None
    assert selector_fault('app="a{1}b", version=~"{version}(-.*)?"') is None


def test_places_are_filled_in() -> None:
    """Each place gets its own word; in a regular expression the word is meant literally."""
    expression = 'x{v="{version}",r=~"{version}-.*",n!~\'{role}\',o="{2}"}'
    assert fill(expression, {"version": "1.1", "role": "canary"}) == 'x{v="1.1",r=~"1\\x5c.1-.*",n!~\'canary\',o="{2}"}'
    assert range_query("up", 'a="b"', window_seconds=9, offset_seconds=3) == 'up{a="b"}[9s] offset 3s'


def test_a_place_without_a_word_is_refused() -> None:
    """A platform without revisions cannot be asked by them."""
    with pytest.raises(BadInput, match=r"\{revision\}.*use \{version\}"):
        fill('x{r="{revision}"}', {"version": "1"})


@given(st.text(max_size=40), st.sampled_from(['x{a="%s"}', "x{a='%s', b=\"c\"}", 'x{a=~"%s.*"} + y{b="#"}']))
def test_no_value_leaves_its_quotes(value: str, form: str) -> None:
    """Whatever a version is called, the expression around it reads as before, and the string holds the value."""
    filled = fill(form % "{version}", {"version": value or "-"})
    plain = form % "v"
    assert [(one.kind, one.text) for one in _tokens(filled) if one.kind != "string"] == [
        (one.kind, one.text) for one in _tokens(plain) if one.kind != "string"
    ]
    assert filled.isascii()
    assert not set("\n\r") & set(filled)


@given(st.text(max_size=40))
def test_an_escaped_value_is_read_back_as_it_was(value: str) -> None:
    """PromQL's escapes are bytes in UTF-8, as Go and Python write them."""
    decoded: bytes = ast.literal_eval(f'b"{escape(value)}"')
    assert decoded == value.encode(errors="replace")


@pytest.mark.parametrize(
    ("selector", "rewritten"),
    [
        ('version="{version}"', 'version=~".*"'),
        ('job="shop", version="{version}"', 'job="shop",version=~".*"'),
        ("app=\"{service}\",version=~'{version}'", "app=\"{service}\",version=~'.*'"),
        ('pod=~"shop-{revision}-.+"', 'pod=~"shop-.*-.+"'),
        ('image="shop.io/a:{version}"', r'image=~"shop\\.io/a:.*"'),
        ('job="shop",version="{version}",version!="{role}"', 'job="shop",version=~".*"'),
        ('namespace="{namespace}",version="{version}"', 'namespace="{namespace}",version=~".*"'),
    ],
)
def test_a_selector_of_one_revision_becomes_that_of_all(selector: str, rewritten: str) -> None:
    """What else it chooses by stays, and what is not a regular expression is written as one."""
    assert of_all_revisions(selector) == rewritten
