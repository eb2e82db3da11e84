"""What differs between two states of an object, in lines that people may read."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.kubernetes.objects.diff import diff, leaves

NAMES = st.sampled_from(["a", "b.c/d", "DB_PASSWORD", "apiKey", "name", "value", "data", "annotations"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
DEPLOYMENT: dict[str, Any] = {
    "metadata": {
        "name": "shop",
        "resourceVersion": "1",
        "generation": 3,
        "managedFields": [{"manager": "x"}],
        "annotations": {"shipway.dev/owner": "run-1", "deployment.kubernetes.io/revision": "3", "team": "a", "sso-token": "hush-note"},
    },
    "spec": {
        "replicas": 2,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "shop",
                        "image": "shop:1",
                        "args": ["--level=info", "--password", "hush-word", "--api-key=hush-option"],
                        "env": [
                            {"name": "LEVEL", "value": "info"},
                            {"name": "DB_PASSWORD", "value": "hush-env"},
                            {"name": "BROKER", "value": "amqp://shop:hush-url@broker/x"},
                        ],
                    }
                ]
            }
        },
    },
    "status": {"replicas": 2},
}


def with_changes(**changes: Any) -> dict[str, Any]:
    """Copy the Deployment; paths have `__` for a step."""
    new = copy.deepcopy(DEPLOYMENT)
    for path, value in changes.items():
        *way, last = path.split("__")
        here: Any = new
        for part in way:
            here = here[int(part)] if isinstance(here, list) else here[part]
        here[last] = value
    return new


CONTAINER = "spec__template__spec__containers__0"


def lines_of(**changes: Any) -> list[str]:
    """Compare the Deployment with a copy of it that has changes."""
    return diff(DEPLOYMENT, with_changes(**changes), kind="Deployment", name="shop")


def test_a_change_is_a_line_with_its_place_and_both_values() -> None:
    """Entries of a list go by their names, so that one more does not move the others."""
    more = [{"name": "proxy", "image": "proxy:1"}, *copy.deepcopy(DEPLOYMENT["spec"]["template"]["spec"]["containers"])]
    more[1]["image"] = "shop:2"
    found = lines_of(spec__replicas=3, spec__template__spec__containers=more)
    assert found == [
        "Deployment shop: spec.replicas: 2 → 3",
        "Deployment shop: spec.template.spec.containers[shop].image: shop:1 → shop:2",
        "Deployment shop: spec.template.spec.containers[proxy].image: (nothing) → proxy:1",
    ]


def test_what_the_cluster_and_shipway_note_for_themselves_is_not_a_change() -> None:
    """Versions, managers, status, our bookkeeping."""
    notes = {"shipway.dev/owner": "", "deployment.kubernetes.io/revision": "4", "team": "a", "sso-token": "hush-note"}
    assert lines_of(metadata__resourceVersion="2", metadata__annotations=notes, metadata__managedFields=[], status={}) == []
    assert lines_of(metadata__annotations={**notes, "team": "b"}) == ["Deployment shop: metadata.annotations.team: a → b"]


@pytest.mark.parametrize(
    "changes",
    [
        {f"{CONTAINER}__env": [{"name": "DB_PASSWORD", "value": "hush-other"}]},
        {f"{CONTAINER}__args": ["--password", "hush-other", "--api-key=hush-more"]},
        {f"{CONTAINER}__args": []},
        {f"{CONTAINER}__env": [{"name": "BROKER", "value": "amqp://shop:hush-new@broker/x"}]},
        {"metadata__annotations": {"sso-token": "hush-new"}},
        {"metadata__annotations": {}},
    ],
)
def test_a_secret_is_never_shown_only_that_it_changed(changes: dict[str, Any]) -> None:
    """Variables, options, the word behind an option, annotations, and credentials in addresses."""
    found = lines_of(**changes)
    assert "hush" not in str(found)
    assert "********" in str(found)


def test_of_a_secret_object_nothing_but_names_is_shown() -> None:
    """Whatever its keys are called."""
    old, new = {"data": {"plain": "aHVzaA=="}, "type": "Opaque"}, {"data": {"plain": "aHVzaDI="}, "type": "Opaque"}
    assert diff(old, new, kind="Secret", name="db") == ["Secret db: data.plain: ******** → ********"]


def test_a_new_and_a_gone_object_are_one_line() -> None:
    """Its whole content would tell no one anything."""
    assert diff(None, DEPLOYMENT, kind="Deployment", name="shop") == ["Deployment shop: would be created"]
    assert diff(DEPLOYMENT, None, kind="Deployment", name="shop") == ["Deployment shop: would be removed"]
    assert diff(None, None, kind="Deployment", name="shop") == []


@given(VALUES, VALUES)
def test_lines_are_there_where_values_differ_and_only_there(one: Any, other: Any) -> None:
    """Nothing is lost, whatever an object holds; each line is one line of bounded length."""
    before, after = {"spec": {"x": one}}, {"spec": {"x": other}}
    found = diff(before, after, kind="Any", name="x")
    assert diff(before, copy.deepcopy(before), kind="Any", name="x") == []
    assert bool(found) == (leaves(before, kind="Any") != leaves(after, kind="Any"))
    assert all(len(line) < 600 and "\n" not in line for line in found)
