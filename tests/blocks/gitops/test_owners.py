"""Owners of an Application: who they are, and whether they would undo a hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blocks.gitops.application import HOLD
from blocks.gitops.owners import LAST_APPLIED, TRACKING_ID, Owner, owner_of, undoes

SET, PARENT = Owner("ApplicationSet", "shops", "argocd"), Owner("Application", "root", "argocd")
TRACKED = "root:argoproj.io/Application:argocd/shop"
IGNORED = {"group": "argoproj.io", "kind": "Application", "jsonPointers": ["/spec/syncPolicy"]}


def child(*, applied: Any = None, **metadata: Any) -> dict[str, Any]:
    """Write an Application, with what `kubectl` or Argo CD applied last."""
    annotations = {**(metadata.pop("annotations", {})), **({LAST_APPLIED: json.dumps(applied)} if applied else {})}
    return {"metadata": {"name": "shop", "namespace": "argocd", "annotations": annotations, **metadata}, "spec": {}}


def parent(*options: str, automatic: bool = True, ignored: Any = ()) -> dict[str, Any]:
    """Write an Application that deploys Applications."""
    policy = {"syncOptions": list(options), **({"automated": {}} if automatic else {})}
    return {"metadata": {"name": "root"}, "spec": {"syncPolicy": policy, "ignoreDifferences": list(ignored)}}


def applied(**automated: Any) -> dict[str, Any]:
    """Write a child whose manifest in Git has this `automated`."""
    return child(applied={"spec": {"syncPolicy": {"automated": automated}}})


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        ({}, None),
        ({"ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "shops"}]}, SET),
        ({"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "shops"}]}, None),
        ({"annotations": {TRACKING_ID: TRACKED}}, PARENT),
        ({"annotations": {TRACKING_ID: "teams_root:argoproj.io/Application:argocd/shop"}}, Owner("Application", "root", "teams")),
        ({"annotations": {TRACKING_ID: "root:argoproj.io/Application:argocd/copied"}}, None),
        ({"labels": {"app.kubernetes.io/instance": "root"}}, PARENT),
        ({"labels": {"app.kubernetes.io/instance": "shop"}}, None),
    ],
)
def test_an_owner_is_found_by_the_mark_it_leaves(metadata: dict[str, Any], owner: Owner | None) -> None:
    """An ApplicationSet by ownerReferences, an Application by Argo CD's tracking."""
    assert owner_of(child(**metadata)) == owner


@pytest.mark.parametrize(
    ("spec", "missing"),
    [
        ({}, ["ignoreApplicationDifferences", "preservedFields"]),
        ({"ignoreApplicationDifferences": [{"jsonPointers": ["/spec/syncPolicy"]}]}, ["preservedFields"]),
        ({"ignoreApplicationDifferences": [{"name": "other", "jsonPointers": ["/spec/syncPolicy"]}]}, ["ignoreApplicationDifferences"]),
        (
            {
                "ignoreApplicationDifferences": [{"jqPathExpressions": [".spec.syncPolicy.automated"]}],
                "preservedFields": {"annotations": [HOLD]},
            },
            [],
        ),
        ({"syncPolicy": {"applicationsSync": "create-only"}}, []),
        ({"syncPolicy": {"applicationsSync": "create-update"}}, ["ignoreApplicationDifferences", "preservedFields"]),
    ],
)
def test_a_set_undoes_a_hold_unless_it_leaves_the_sync_policy_and_the_mark_alone(spec: dict[str, Any], missing: list[str]) -> None:
    """What it needs is named."""
    said = undoes(SET, {"metadata": {}, "spec": spec}, child())
    assert bool(said) is bool(missing)
    assert [word for word in missing if word not in said] == []


@pytest.mark.parametrize(
    ("found", "application", "undone"),
    [
        (parent(), applied(prune=True), False),
        (parent(), applied(prune=True, enabled=True), True),
        (parent(), child(), True),
        (parent("Replace=true"), applied(prune=True), True),
        (parent("Replace=true", automatic=False), applied(prune=True), True),
        (parent(automatic=False), applied(enabled=True), False),
        (parent(ignored=[IGNORED]), applied(enabled=True), True),
        (parent("RespectIgnoreDifferences=true", ignored=[IGNORED]), applied(enabled=True), False),
        (parent("RespectIgnoreDifferences=true", ignored=[{**IGNORED, "name": "other"}]), applied(enabled=True), True),
        (None, applied(enabled=True), False),
    ],
)
def test_a_parent_undoes_a_hold_only_where_it_writes_the_switch(found: Any, application: dict[str, Any], *, undone: bool) -> None:
    """A three-way merge leaves a field that Git never set; if that is not known, it may be set."""
    assert bool(undoes(PARENT, found, application)) is undone
