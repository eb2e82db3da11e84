"""Labels that keep a canary's pods out of the stable ones' selectors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput
from blocks.kubernetes.objects.selectors import apart, in_words, matches, renamed

Json = dict[str, Any]
KEYS = ["app", "app.kubernetes.io/name", "app.kubernetes.io/instance", "tier", "team"]
LABELS = {"app": "web", "tier": "front"}


def expression(operator: str, key: str, *values: str) -> Json:
    """Write a selector of one expression."""
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "team": "a"}}, False),
        (expression("In", "app", "web", "api"), True),
        (expression("In", "team", "a"), False),
        (expression("NotIn", "app", "web"), False),
        (expression("NotIn", "team", "a"), True),
        (expression("Exists", "tier"), True),
        (expression("Exists", "team"), False),
        (expression("DoesNotExist", "team"), True),
        (expression("DoesNotExist", "tier"), False),
    ],
)
def test_a_selector_selects_as_the_cluster_does(selector: Json, selected: bool) -> None:  # noqa: FBT001
    """Equality and all four set operators, also for a label that is absent."""
    assert matches(selector, LABELS) is selected


def test_as_few_labels_change_as_it_takes() -> None:
    """A label that both selectors share goes, and the others stay, so that dashboards still find the pods."""
    service, workload = {"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "web", "tier": "front"}}
    assert apart(LABELS, [workload, service]) == {"app": "web-canary", "tier": "front"}
    assert apart(LABELS, [{"matchLabels": {"tier": "front"}}, {"matchLabels": {"app": "web"}}]) == {
        "app": "web-canary",
        "tier": "front-canary",
    }


def test_a_label_that_only_has_to_be_there_is_taken_away() -> None:
    """No other value would help against `Exists`."""
    assert apart(LABELS, [expression("Exists", "tier")]) == {"app": "web"}


@pytest.mark.parametrize("selector", [{}, expression("DoesNotExist", "team"), expression("NotIn", "app", "api")])
def test_a_selector_of_everything_is_refused(selector: Json) -> None:
    """What selects whatever is there would send users to the canary; the fix is a label with a value."""
    with pytest.raises(BadInput, match="by a label with a value"):
        apart(LABELS, [selector])


values = st.sampled_from(["web", "web-canary", "api", "x" * 63])
labels = st.dictionaries(st.sampled_from(KEYS), values, min_size=1)


@given(labels, st.data())
def test_whatever_the_selectors_the_new_labels_are_outside_all_of_them(found: dict[str, str], data: st.DataObject) -> None:
    """Either none of them selects the new labels and every other label is as it was, or the plan is refused."""
    subset = st.dictionaries(st.sampled_from(sorted(found)), st.just(None)).map(lambda keys: {key: found[key] for key in keys})
    by_value = subset.map(lambda some: {"matchLabels": some})
    by_set = st.sampled_from(sorted(found)).flatmap(
        lambda key: st.one_of(
            st.just(expression("Exists", key)), st.lists(values, max_size=3).map(lambda more: expression("In", key, found[key], *more))
        )
    )
    selectors = data.draw(st.lists(st.one_of(by_value, by_set), min_size=1, max_size=3))
    assert all(matches(selector, found) for selector in selectors)
    try:
        new = apart(found, selectors)
    except BadInput:
        return
    assert not any(matches(selector, new) for selector in selectors)
    named = {key for one in selectors for key in [*(one.get("matchLabels") or {}), *(e["key"] for e in one.get("matchExpressions") or [])]}
    assert {key: value for key, value in new.items() if key not in named} == {k: v for k, v in found.items() if k not in named}


@given(st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", fullmatch=True))
def test_a_renamed_label_is_a_label(value: str) -> None:
    """It fits into 63 characters, begins and ends with a letter or digit, and differs from what it came from."""
    new = renamed(value)
    assert len(new) <= 63
    assert new[0].isalnum()
    assert new.endswith("canary")


def test_a_selector_is_written_as_the_api_takes_it() -> None:
    """Equality and sets in the syntax of `labelSelector`."""
    whole = {"matchLabels": {"app": "web"}, **expression("NotIn", "tier", "a", "b")}
    assert in_words(whole) == "app=web,tier notin (a,b)"
    assert in_words(expression("In", "tier", "a")) == "tier in (a)"
    assert in_words(expression("Exists", "tier")) == "tier"
    assert in_words(expression("DoesNotExist", "tier")) == "!tier"
