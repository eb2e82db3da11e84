"""A migration's manifest: a Job and nothing else, filled in exactly where a version may stand."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput
from tasks.rules.plan.version import VERSION_PATTERN
from tasks.rules.rollout.job_manifest import MAX_BYTES, filled, read_manifest

JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "migrate"},
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "initContainers": [{"name": "wait", "image": "tools:1", "command": ["wait", "{version}"]}],
                "containers": [
                    {
                        "name": "migrate",
                        "image": "registry.example:5000/shop:{version}",
                        "args": ["--to={version}", "{version}/{version}", "{ version }", "$(VERSION)"],
                        "env": [{"name": "VERSION", "value": "v{version}"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "db"}}}],
                    }
                ],
            }
        }
    },
}


def read(value: Any) -> dict[str, Any]:
    """Read a manifest from its JSON."""
    return read_manifest(json.dumps(value).encode(), name="jobs/add.yaml", field="migrations[0].manifest")


def changed(path: str, value: Any) -> dict[str, Any]:
    """Copy the Job with one field changed; None takes it away."""
    new = copy.deepcopy(JOB)
    *way, last = path.split("/")
    here: Any = new
    for part in way:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    if value is None:
        del here[last]
    else:
        here[last] = value
    return new


def test_the_version_stands_where_it_may_and_only_as_the_exact_placeholder() -> None:
    """Images, commands, arguments and values are filled in; nothing else is a template."""
    pod = filled(read(JOB), "1.2.0")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "registry.example:5000/shop:1.2.0"
    assert container["args"] == ["--to=1.2.0", "1.2.0/1.2.0", "{ version }", "$(VERSION)"]
    assert container["env"][0]["value"] == "v1.2.0"
    assert container["env"][1] == JOB["spec"]["template"]["spec"]["containers"][0]["env"][1]
    assert pod["initContainers"][0]["command"] == ["wait", "1.2.0"]


@given(st.from_regex(VERSION_PATTERN, fullmatch=True))
def test_a_version_never_changes_the_shape_of_a_job(version: str) -> None:
    """Whatever a version is spelled like, only those texts change in which the placeholder stood; the manifest itself stays."""
    before = copy.deepcopy(JOB)
    try:
        found = filled(JOB, version)
    except BadInput:
        assert "+" in version
        return
    assert before == JOB
    assert found == json.loads(json.dumps(JOB).replace("{version}", version))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "it is not a Job"),
        (changed("kind", "Deployment"), "it is not a Job"),
        (changed("apiVersion", "batch/v1beta1"), "it is not a Job"),
        (changed("spec", None), "must list the containers"),
        (changed("spec/template", []), "must list the containers"),
        (changed("spec/template/spec/containers", []), "must list the containers"),
        (changed("spec/template/spec/containers", ["migrate"]), "must list the containers"),
        (changed("spec", {**JOB["spec"], "suspend": True}), "never run"),
        (changed("spec", {**JOB["spec"], "managedBy": "example.com/queue"}), "`spec.managedBy` names another controller"),
        (changed("spec", {**JOB["spec"], "manualSelector": True}), "`spec.manualSelector` could take other pods"),
        (changed("spec", {**JOB["spec"], "selector": {"matchLabels": {"app": "shop"}}}), "`spec.selector` could take other pods"),
        (changed("metadata", {"finalizers": ["example.com/never"]}), "`metadata.finalizers` is not carried over"),
        (changed("spec/template/spec/restartPolicy", "Always"), "restartPolicy"),
        (changed("spec/template/spec/restartPolicy", None), "restartPolicy"),
        (changed("metadata/name", "migrate-{version}"), "not filled in at metadata.name"),
        (changed("spec/template/metadata", {"labels": {"v": "{version}"}}), "not filled in at spec.template.metadata.labels.v"),
        (changed("spec/template/spec/volumes", [{"name": "{version}"}]), "not filled in at spec.template.spec.volumes[0].name"),
    ],
)
def test_what_is_not_a_job_for_a_migration_is_refused_with_its_place(value: Any, said: str) -> None:
    """Also a placeholder that no one would fill in."""
    with pytest.raises(BadInput, match=r"migrations\[0\]\.manifest: jobs/add\.yaml: ") as caught:
        read(value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff", "not UTF-8"),
        (b"a: 1\na: 2", "line 2"),
        (b"kind: !!python/object:os.system x", "line 1"),
        (b"# " + b"x" * MAX_BYTES, "more than"),
        (b"", "not a Job"),
    ],
)
def test_a_broken_file_is_refused(content: bytes, said: str) -> None:
    """A key twice, a tag, another encoding, nothing at all."""
    with pytest.raises(BadInput, match=said):
        read_manifest(content, name="jobs/add.yaml", field="migrations[0].manifest")


def test_a_version_that_makes_no_image_is_bad_input() -> None:
    """A plus sign may stand in a version, and not in an image's tag."""
    with pytest.raises(BadInput, match="not the name of an image"):
        filled(JOB, "1.2.0+build.7")
