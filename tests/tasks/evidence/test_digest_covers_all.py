"""The digest covers whatever decides: each input, found by walking the models, gives another one if it is another."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import typing
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from blocks.key_folder.key_file import create_key
from blocks.local.platform import LocalPlatform
from tasks.evidence import settings
from tasks.evidence.inputs import _look_at, digest_of
from tasks.evidence.settings import settings_fingerprint
from tasks.rollout.platforms import KNOWN
from tasks.rules.approval.digest import digest
from tasks.rules.evidence.change_log import ChangeLog, Commit
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.plan.plan import Plan
from tasks.rules.policy.policy import Policy
from tests.rules.approval.test_digest import LOG, PLAN
from tests.tasks.fake_platform import FakePlatform

DECISION = Path(__file__).parents[3] / "docs/decisions/0007-digest-covers-production.md"

# All that is not in the digest, each with its reason; the decision names each of them, too.
NOT_IN_THE_DIGEST = {
    "Inputs.path": "where the plan lies on the worker's machine; its content is in the digest",
    "Inputs.folder": "follows from the path",
    "Inputs.repository": "follows from the path; its commits are in the change log",
    "Inputs.manifest_problems": "a plan with one is refused before there is a digest",
    "Inputs.previous": "what a rollback may go to; it deploys nothing that did not run here before",
    "Inputs.previews": "what the cluster says about the rest; it is shown, and read again by the platform",
    "Inputs.digest": "is the digest",
    "Policy.windows": "say when a release may go on, not what it is; a freeze voids no approval",
}
# Blocks that a plan names and that the digest leaves out.
BLOCKS_LEFT_OUT = {
    "credential": "tokens for asking, which may be renewed; where they go is in the plan",
    "approvers": "their proofs are verified by themselves",
    "apprise": "who is told; it decides nothing",
}
BLOCKS = [getattr(importlib.import_module(module), kind) for name, (module, kind) in KNOWN.items() if name not in BLOCKS_LEFT_OUT]
KINDS: dict[str, Callable[[str], Any]] = {"plain": str, "secret": SecretStr, "secrets": lambda text: {"PATH": SecretStr(text)}}
USUAL: dict[str, Any] = {
    "plan": PLAN.model_dump(mode="json"), "path": "/a/shipway.yaml", "folder": "/a", "repository": "/a", "manifests": {"a": {}},
    "manifest_problems": (), "version": "1.1", "current": {"staging": "1.0", "production": "1.0"}, "previous": {"production": "0.9"},
    "change_log": LOG, "platforms": {"production": "x"}, "digest": "", "previews": {}, "policies": (),
    "edits": {"production": ("a: 1.0 → 1.1",)}, "files": {"the plan's smoke/test_a.py": "x"},
}  # fmt: skip
OTHER: dict[str, Any] = {
    "plan": PLAN.model_copy(update={"description": "another"}).model_dump(mode="json"), "path": "/b/shipway.yaml", "folder": "/b",
    "repository": "/b", "manifests": {"a": {"kind": "Job"}}, "manifest_problems": ("a is not a Job",), "version": "1.2",
    "current": {"staging": "1.0", "production": "0.9"}, "previous": {"production": "0.8"}, "digest": "x",
    "change_log": dataclasses.replace(LOG, commits=()), "platforms": {"production": "y"}, "previews": {"production": {"changes": ["a"]}},
    "policies": (Policy(policy=1, name="b", protects=["local/b"], services=["guestbook"]),), "edits": {"production": ("a: 0.9 → 1.1",)},
    "files": {"the plan's smoke/test_a.py": "y"},
}  # fmt: skip
Digest = Callable[..., str]
Build = Callable[[Any], Any]


def models_in(kind: Any) -> Iterator[tuple[Any, Build]]:
    """Find the models and dataclasses in a type, each with what wraps one as the type has it."""
    if isinstance(kind, type) and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind)):
        yield kind, lambda value: value
    origin = typing.get_origin(kind)
    for member in typing.get_args(kind):
        for model, build in models_in(member):
            yield (
                model,
                (
                    build
                    if origin not in {list, tuple, dict}
                    else (lambda value, build=build, origin=origin: {"a": build(value)} if origin is dict else [build(value)])
                ),
            )


def fields_of(model: Any) -> dict[str, Any]:
    """Give the types of a model's fields by name."""
    if dataclasses.is_dataclass(model):
        hints = typing.get_type_hints(model)
        return {field.name: hints[field.name] for field in dataclasses.fields(model)}
    return {name: field.annotation for name, field in model.model_fields.items()}


def made(model: Any, name: str, value: Any) -> Any:
    """Make a model of which only one field has a value, whatever its type allows."""
    values = {**dict.fromkeys(fields_of(model)), name: value}
    return model(**values) if dataclasses.is_dataclass(model) else model.model_construct(**values)


def inputs_of(root: Any, seen: set[Any] | None = None, path: str = "") -> Iterator[tuple[str, Build]]:
    """Walk each field of each model in a model, once: its path, and what makes the whole of its value."""
    path, seen = path or root.__name__, set() if seen is None else seen
    seen.add(root)
    for name, kind in fields_of(root).items():
        yield f"{path}.{name}", lambda value, name=name: made(root, name, value)
        for model, wrapped in models_in(kind):
            if model not in seen:
                for inner, build in inputs_of(model, seen, f"{path}.{name}[{model.__name__}]"):
                    yield inner, lambda value, name=name, build=build, wrapped=wrapped: made(root, name, wrapped(build(value)))


def as_argument(root: Any, value: Any) -> dict[str, Any]:
    """Give what the digest takes of an input, beside the usual."""
    if root is Plan:
        return {"plan": value}
    if root is Policy:
        return {"policies": [value]}
    return {"change_log": value} if root is ChangeLog else {"platforms": {"production": settings_fingerprint(value)}}


def unnoticed(root: Any, computes: Digest = digest, kind: Callable[[str], Any] = str) -> set[str]:
    """List the inputs of which another value gives no other digest."""
    usual: dict[str, Any] = {"plan": PLAN, "version": "1.1", "change_log": LOG, "current": {}, "platforms": {}}
    found = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic warns of values that no such model would have
        for path, build in inputs_of(root):
            one, another = (computes(**usual | as_argument(root, build(kind(text)))) for text in ("one", "another"))
            if one == another:
                found.add(path)
    return found


def left_out(root: Any) -> set[str]:
    """List the inputs that the digest leaves out on purpose, with all that is in them."""
    return {path for path, _ in inputs_of(root) if any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in NOT_IN_THE_DIGEST)}


@pytest.mark.parametrize("root", [Plan, Policy, ChangeLog], ids=lambda one: one.__name__)
def test_each_field_of_a_plan_a_policy_and_the_changes_gives_another_digest(root: Any) -> None:
    """In each of their sections, however deep."""
    assert len({path for path, _ in inputs_of(root)}) > 5
    assert unnoticed(root) == left_out(root)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_setting_of_a_block_gives_another_digest(block: Any, kind: Callable[[str], Any]) -> None:
    """Plain or secret, also inside of a section and of a dict."""
    assert unnoticed(block, kind=kind) == set()
    first = next(iter(block.model_fields))
    assert settings_fingerprint(made(block, first, kind("one"))) == settings_fingerprint(made(block, first, kind("one")))


def test_each_thing_that_is_collected_gives_another_digest() -> None:
    """By the function that the gate uses, or it is left out for a reason."""
    assert set(USUAL) == set(OTHER) == set(Inputs.model_fields)
    usual = Inputs(**USUAL)
    same = {f"Inputs.{name}" for name, value in OTHER.items() if digest_of(usual.model_copy(update={name: value})) == digest_of(usual)}
    assert same == {name for name in NOT_IN_THE_DIGEST if name.startswith("Inputs.")}
    assert set(inspect.signature(digest).parameters) == {name for name in OTHER if f"Inputs.{name}" not in same}


def test_what_runs_in_staging_gives_no_other_digest() -> None:
    """The release itself has changed it by the time the approval is compared."""
    usual = Inputs(**USUAL)
    assert digest_of(usual) == digest_of(usual.model_copy(update={"current": {"staging": "1.1", "production": "1.0"}}))


@pytest.mark.parametrize("name", [name for name in Policy.model_fields if name != "windows"])
def test_a_field_of_policies_that_the_digest_forgets_is_found(name: str) -> None:
    """This walk is worth something: it finds one that is left out."""

    def forgetful(**known: Any) -> str:
        kept = [policy.model_copy(update={name: None}) for policy in known.pop("policies", ())]
        return digest(**known, policies=kept)

    found = unnoticed(Policy, forgetful) - left_out(Policy)
    assert f"Policy.{name}" in found
    assert all(path.startswith(f"Policy.{name}") for path in found)


@pytest.mark.parametrize("name", [*NOT_IN_THE_DIGEST, *BLOCKS_LEFT_OUT])
def test_what_is_left_out_is_documented(name: str) -> None:
    """In the decision, by the field's or the block's name."""
    assert f"`{name.rpartition('.')[2]}`" in DECISION.read_text().partition("Not in it")[2]


def test_each_block_that_a_plan_names_is_known_here() -> None:
    """Those that are left out are types of Shipway's."""
    assert set(BLOCKS_LEFT_OUT) < set(KNOWN)
    assert {block.__name__ for block in BLOCKS} >= {"LocalPlatform", "KubernetesPlatform", "ScriptPlatform", "GitOps", "Git", "Prometheus"}


def test_a_commit_is_walked() -> None:
    """Also one that is taken away."""
    found = {path for path, _ in inputs_of(ChangeLog)}
    assert {f"ChangeLog.commits[Commit].{field.name}" for field in dataclasses.fields(Commit)} <= found
    assert {"Plan.verification[Verification].smoke[SmokeTest].pytest"} <= {path for path, _ in inputs_of(Plan)}


CLUSTER: dict[str, Any] = {
    "clusters": [{"name": "a", "cluster": {"server": "https://a.example:6443", "certificate-authority-data": "eA=="}}],
    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "bot", "namespace": "shop"}}],
    "users": [{"name": "bot", "user": {"token": "of this hour"}}],
    "current-context": "a",
}


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        (("clusters", 0, "cluster", "server"), True),
        (("clusters", 0, "cluster", "certificate-authority-data"), True),
        (("contexts", 0, "context", "namespace"), True),
        (("current-context",), True),
        (("users", 0, "user", "token"), False),
    ],
)
async def test_another_api_server_of_a_credentials_block_gives_another_fingerprint(
    monkeypatch: pytest.MonkeyPatch, path: tuple[Any, ...], *, counts: bool
) -> None:
    """What it reaches is approved, though the platform only names the block; its token lasts an hour, and is not."""
    platform, answers = FakePlatform(), iter([json.dumps(CLUSTER), json.dumps(with_other(CLUSTER, path))])
    platform.credentials = "kubernetes-credentials/production"  # type: ignore[attr-defined]

    async def kubeconfig_from(name: str) -> str:
        assert name == "kubernetes-credentials/production"
        return next(answers)

    monkeypatch.setattr(settings, "kubeconfig_from", kubeconfig_from)
    found = set()
    for _ in range(2):
        _, fingerprint = await _look_at(PLAN, "production", platform)
        found.add(digest(PLAN, "1.1", LOG, {}, {"production": fingerprint}))
    assert len(found) == (2 if counts else 1)


def with_other(value: Any, path: tuple[Any, ...]) -> Any:
    """Replace one value in a document by another."""
    if not path:
        return f"another {value}"
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = with_other(copy[path[0]], path[1:])
    return copy


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
