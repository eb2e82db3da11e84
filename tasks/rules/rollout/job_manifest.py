"""The manifest of a migration: a Kubernetes Job, read with suspicion, and filled in for one version. Values in, values out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from blocks.errors import BadInput
from tasks.rules.plan.yaml_tree import read_tree

Json = dict[str, Any]
MAX_BYTES = 200_000
PLACEHOLDER = "{version}"
IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._:/@-]{0,500}")
CONTAINERS = ("initContainers", "containers")


def read_manifest(content: bytes, *, name: str, field: str) -> Json:
    """Read a Job's manifest.

    Args:
        content: The file, UTF-8; one document, YAML or JSON.
        name: The file as the reader knows it.
        field: Where the plan names it, for messages.

    Returns:
        The manifest with its placeholders.

    Raises:
        BadInput: It is none; the message holds every problem.
    """
    problems = [f"it has {len(content):,} bytes, more than {MAX_BYTES:,}"] if len(content) > MAX_BYTES else []
    value: Any = None
    if not problems:
        try:
            tree = read_tree(content.decode("utf-8-sig"))
            problems = [f"line {fault.place[0]}: {fault.message}. {fault.fix}" for fault in tree.faults]
            value = tree.value
        except UnicodeDecodeError:
            problems = ["it is not UTF-8"]
    problems = problems or manifest_problems(value)
    if problems:
        raise BadInput(f"{name}: {'; '.join(problems)}", field=field, fix="docs/plan.md shows a Job for a migration.")
    return dict(value)


def manifest_problems(value: Any) -> list[str]:
    """Say why a value cannot be the Job of a migration; empty if it can."""
    if not isinstance(value, dict) or (value.get("apiVersion"), value.get("kind")) != ("batch/v1", "Job"):
        return ["it is not a Job: begin with `apiVersion: batch/v1` and `kind: Job`"]
    metadata, spec = value.get("metadata", {}), value.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    pod = template.get("spec") if isinstance(template, dict) else None
    named = isinstance(pod, dict) and all(
        isinstance(group, list) and all(isinstance(one, dict) for one in group) for group in (pod.get(part, []) for part in CONTAINERS)
    )
    if not isinstance(metadata, dict) or not isinstance(spec, dict) or not isinstance(pod, dict) or not named or not pod.get("containers"):
        return ["`spec.template.spec.containers` must list the containers of the Job"]
    problems = []
    if spec.get("suspend"):
        problems.append("`spec.suspend` is set, so it would never run; leave it out")
    if spec.get("managedBy") not in {None, "kubernetes.io/job-controller"}:
        problems.append("`spec.managedBy` names another controller, which nothing waits for here; leave it out")
    if selected := [name for name in ("selector", "manualSelector") if name in spec]:
        problems.append(f"`spec.{selected[0]}` could take other pods for the Job's own; leave it out")
    if left_out := [name for name in ("ownerReferences", "finalizers", "deletionTimestamp") if name in metadata]:
        problems.append(f"`metadata.{left_out[0]}` is not carried over; leave it out")
    if pod.get("restartPolicy") not in {"Never", "OnFailure"}:
        problems.append("`spec.template.spec.restartPolicy` must be Never (what a migration wants) or OnFailure")
    problems += [f"`{PLACEHOLDER}` is not filled in at {place}" for place in _left_over(filled(value, "0"))]
    return problems


def filled(manifest: Json, version: str) -> Json:
    """Copy a manifest with the version in the place of the exact text `{version}`: in images, commands, arguments, values of variables.

    Args:
        manifest: The manifest; it stays as it is.
        version: A version as the plan's rules allow it, whose characters mean nothing to YAML, which is not read again.

    Raises:
        BadInput: The version makes no image's name.
    """
    pod = manifest["spec"]["template"]["spec"]
    parts = {part: [_filled_container(one, version) for one in pod[part]] for part in CONTAINERS if part in pod}
    template = {**manifest["spec"]["template"], "spec": {**pod, **parts}}
    return {**manifest, "spec": {**manifest["spec"], "template": template}}


def _filled_container(container: Json, version: str) -> Json:
    put: Callable[[Any], Any] = lambda text: text.replace(PLACEHOLDER, version) if isinstance(text, str) else text  # noqa: E731
    new = {**container, **{name: [put(word) for word in container[name]] for name in ("command", "args") if _is_list(container, name)}}
    if _is_list(container, "env"):
        new["env"] = [{**one, "value": put(one["value"])} if isinstance(one, dict) and "value" in one else one for one in container["env"]]
    if PLACEHOLDER in str(container.get("image", "")):
        new["image"] = put(container["image"])
        if not IMAGE.fullmatch(new["image"]):
            fix = "An image's tag has letters, digits, dots, dashes and underscores only; name the image by another version."
            raise BadInput(f"{version} makes `{new['image'][:100]}`, which is not the name of an image", field="version", fix=fix)
    return new


def _is_list(container: Json, name: str) -> bool:
    return isinstance(container.get(name), list)


def _left_over(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, str) and PLACEHOLDER in value:
        yield path
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from _left_over(member, f"{path}.{key}".removeprefix("."))
            if PLACEHOLDER in str(key):
                yield f"{path}.{key}".removeprefix(".")
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _left_over(member, f"{path}[{number}]")
