"""The digest covers whatever decides: found by walking the models, so that a new field cannot be forgotten."""

from __future__ import annotations

import importlib
import inspect
import typing
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from blocks.key_folder.key_file import create_key
from blocks.local.platform import LocalPlatform
from tasks.evidence.settings import settings_fingerprint
from tasks.rollout.platforms import KNOWN
from tasks.rules.approval.digest import digest
from tasks.rules.evidence.change_log import ChangeLog, Commit
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.plan.plan import Plan
from tasks.rules.policy.policy import Policy
from tasks.rules.record.canonical import canonical, fingerprint

# Fields of what a release collects that are no argument of the digest, each with its reason.
NOT_IN_THE_DIGEST = {
    "path": "where the plan lies on the worker's machine; its content is in the digest",
    "folder": "follows from the path",
    "repository": "follows from the path; its commits are in the change log",
    "manifest_problems": "a plan with one is refused before there is a digest",
    "previous": "what a rollback may go to; it deploys nothing that did not run here before",
    "previews": "what the cluster says about the rest; it is shown, and read again by the platform",
    "digest": "is the digest",
}
# Blocks that a plan names and that the digest leaves out: see docs/decisions/0007.
BLOCKS_LEFT_OUT = {
    "credential": "tokens for asking, which may be renewed; where they go is in the plan",
    "approvers": "their proofs are verified by themselves",
}


def models_in(kind: Any, seen: set[type] | None = None) -> Iterator[type[BaseModel]]:
    """Walk the models that a type is made of, each once."""
    seen = set() if seen is None else seen
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
        seen.add(kind)
        yield kind
        for field in kind.model_fields.values():
            yield from models_in(field.annotation, seen)
    for member in typing.get_args(kind):
        yield from models_in(member, seen)


SECTIONS = [(model, name) for whole in (Plan, Policy) for model in models_in(whole) for name in model.model_fields]
BLOCKS = [getattr(importlib.import_module(module), kind) for name, (module, kind) in KNOWN.items() if name not in BLOCKS_LEFT_OUT]
SETTINGS = [(block, name) for block in BLOCKS for name in block.model_fields]


def values_of(model: type[BaseModel], name: str, value: Any) -> BaseModel:
    """Make a model of which only one field has a value of its own, whatever its type allows."""
    return model.model_construct(**{**dict.fromkeys(model.model_fields), name: value})


@pytest.mark.parametrize(("model", "name"), SECTIONS, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_each_field_of_a_plan_or_a_policy_counts(model: type[BaseModel], name: str) -> None:
    """In each of their sections, however deep."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic warns of values that no such model would have
        assert canonical(values_of(model, name, "one")) != canonical(values_of(model, name, "another"))


@pytest.mark.parametrize(("block", "name"), SETTINGS, ids=lambda one: one if isinstance(one, str) else one.__name__)
@pytest.mark.parametrize("kind", [str, SecretStr, lambda text: {"PATH": SecretStr(text)}], ids=["plain", "secret", "secrets"])
def test_each_setting_of_a_block_counts(block: type[BaseModel], name: str, kind: Any) -> None:
    """Plain or secret, also inside of a dict."""
    fingerprints = [settings_fingerprint(values_of(block, name, kind(text))) for text in ("one", "another", "one")]
    assert fingerprints[0] == fingerprints[2] != fingerprints[1]


def test_each_argument_of_the_digest_counts() -> None:
    """And each thing that is collected is one of them, or has a reason here why it is not."""
    plan = Plan.model_construct(service="a")
    log = ChangeLog("1.0", "1.1", "upgrade", (Commit("a" * 40, "Ada", 1, "Fix"),))
    usual: dict[str, Any] = {
        "plan": plan,
        "version": "1.1",
        "change_log": log,
        "current": {"production": "1.0"},
        "platforms": {"production": "x"},
        "manifests": {"a": {}},
        "policies": [],
        "edits": {"production": ["values.yaml: 1.0 → 1.1"]},
    }
    other: dict[str, Any] = {
        "plan": Plan.model_construct(service="b"),
        "version": "1.2",
        "change_log": ChangeLog("1.0", "1.1", "upgrade", ()),
        "current": {"production": "0.9"},
        "platforms": {"production": "y"},
        "manifests": {"a": {"kind": "Job"}},
        "policies": [Policy.model_construct(policy=1, name="a")],
        "edits": {"production": ["values.yaml: 0.9 → 1.1"]},
    }
    assert set(usual) == set(other) == set(inspect.signature(digest).parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {digest(**usual), *(digest(**{**usual, name: value}) for name, value in other.items())}
    assert len(found) == 1 + len(other)
    assert set(Inputs.model_fields) == set(usual) | set(NOT_IN_THE_DIGEST)


def test_each_part_of_the_change_log_counts() -> None:
    """Every field of it and of its commits."""
    commit = {"hash": "a" * 40, "author": "Ada", "at": 1, "subject": "Fix"}
    log: dict[str, Any] = {"from_version": "1.0", "to_version": "1.1", "direction": "upgrade", "commits": ()}
    for kind, values in ((Commit, commit), (ChangeLog, log)):
        fields = kind.__dataclass_fields__
        found = {fingerprint(kind(**{**values, name: "other"})) for name in fields if name in values}  # type: ignore[operator]
        assert len(found | {fingerprint(kind(**values))}) == 1 + len([name for name in fields if name in values])  # type: ignore[operator]


def test_a_secret_is_hashed_under_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another PATH gives another fingerprint, another key does too, and neither contains the value."""

    def at(path: str) -> str:
        return settings_fingerprint(LocalPlatform(environment={"PATH": SecretStr(path)}))

    here, there = at("/usr/bin"), at("/tmp/evil")  # noqa: S108
    assert here != there
    assert settings_fingerprint(LocalPlatform(environment={"PATH": "**********"})) not in {here, there}
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "approvals.key"))
    create_key(tmp_path / "approvals.key")
    assert at("/usr/bin") != here
