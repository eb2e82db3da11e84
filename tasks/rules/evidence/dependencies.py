"""Judge another service's answer: there, in time, well, and of a fitting version."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from blocks.errors import BadInput
from tasks.rules.plan.plan import Dependency
from tasks.rules.plan.version import has_controls, in_range

MAX_BODY_BYTES = 1_000_000
OK = 200


@dataclass(frozen=True)
class DependencyState:
    """What is known about one dependency.

    Fields:
        name: As in the plan.
        outcome: `passed`; `failed`, where it is not well or does not fit; `no_data`, where it gave no answer; `error`, where the
            answer cannot be judged.
        reason: Why, with its numbers.
        version: What it said it is, or None.
        latency_seconds: How long the answer took, or None.
    """

    name: str
    outcome: Literal["passed", "failed", "no_data", "error"]
    reason: str
    version: str | None = None
    latency_seconds: float | None = None


def no_answer(spec: Dependency, reason: str) -> DependencyState:
    """Say that a dependency did not answer; that is never a pass."""
    return DependencyState(spec.name, "no_data", f"{spec.name} gave no answer at {spec.url}: {reason}")


def judge_dependency(spec: Dependency, *, status: int, body: bytes, latency_seconds: float) -> DependencyState:
    """Judge one answer.

    Args:
        spec: What the plan asks.
        status: The answer's status.
        body: The answer's body; read only where the plan asks for a version. Longer than 1 MB is an error.
        latency_seconds: How long it took.

    Returns:
        The state.
    """
    took = f"in {latency_seconds * 1000:.0f} ms"
    if status != OK:
        return DependencyState(spec.name, "failed", f"{spec.name} answered {status} {took}, not {OK}", None, latency_seconds)
    if latency_seconds > spec.timeout_seconds:
        return no_answer(spec, f"the answer came after {latency_seconds:.1f} s, later than {spec.timeout_seconds:g} s")
    if spec.version is None:
        return DependencyState(spec.name, "passed", f"{spec.name} answered {status} {took}", None, latency_seconds)
    try:
        version = _version_in(body, member=spec.version_field)
        fits = in_range(version, spec.version)
    except BadInput as error:
        return DependencyState(spec.name, "error", f"{spec.name} answered {status} {took}, but {error}", None, latency_seconds)
    outcome: Literal["passed", "failed"] = "passed" if fits else "failed"
    verb = "lies in" if fits else "does not lie in"
    return DependencyState(spec.name, outcome, f"{spec.name} {version} {verb} {spec.version}; answered {took}", version, latency_seconds)


def _version_in(body: bytes, *, member: str) -> str:
    if len(body) > MAX_BODY_BYTES:
        raise BadInput("the body has more than 1 MB", field="url", fix="Name a page that answers with a small JSON object.")
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInput("the body is no JSON", field="url", fix="Name a page that answers with a JSON object.") from None
    version = answer.get(member) if isinstance(answer, dict) else None
    if not isinstance(version, str) or has_controls(version):
        fix = "Set `version_field` to the member that holds the version as text."
        raise BadInput(f"the body has no text in the member `{member}`", field="version_field", fix=fix)
    return version


def may_follow(source: str, target: str) -> bool:
    """Say whether a redirect stays with the service: the same host and port, or from http to https of the same host.

    Args:
        source: The absolute URL that answered.
        target: The absolute URL that it points to.

    Returns:
        True where following it cannot lead to another machine.
    """
    try:
        here, there = urlsplit(source), urlsplit(target)
        same_host = here.hostname == there.hostname and there.username is None
        same_port = (here.scheme, here.port) == (there.scheme, there.port)
        upgrade = (here.scheme, there.scheme) == ("http", "https") and there.port in {None, 443} and here.port in {None, 80}
    except ValueError:
        return False
    return same_host and (same_port or upgrade)
