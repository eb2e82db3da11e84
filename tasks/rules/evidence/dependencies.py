"""Dependencies: judge another service's answer: in time, healthy, and of a fitting version."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from blocks.errors import BadInput
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.plan.json_values import parse_json, value_at
from tasks.rules.plan.plan import Dependency
from tasks.rules.plan.version import has_controls, in_range
from tasks.rules.verification.http_check import Answer, encoded


@dataclass(frozen=True)
class DependencyState:
    """State of one dependency.

    Fields:
        name: As in the plan.
        outcome: `passed`; `failed`, if it is not healthy or does not fit; `no_data`, if it did not answer; `error`, if the
            answer cannot be judged.
        reason: Why, with its numbers.
        version: The version that it reports, or None.
        latency_seconds: How long the answer took, or None.
    """

    name: str
    outcome: Outcome
    reason: str
    version: str | None = None
    latency_seconds: float | None = None


def no_answer(spec: Dependency, reason: str) -> DependencyState:
    """Return that a dependency did not answer; that is never a pass."""
    return DependencyState(spec.name, Outcome.NO_DATA, f"{spec.name} gave no answer at {spec.url}: {reason}")


def judge_dependency(spec: Dependency, answer: Answer, *, fault: str) -> DependencyState:
    """Judge one answer.

    Args:
        spec: The plan's entry.
        answer: The answer.
        fault: What is wrong with it by the plan's `expect`, by `fault_of_answer`, without secrets.

    Returns:
        The state.
    """
    if answer.status is None:
        return no_answer(spec, fault)
    if answer.seconds > spec.timeout_seconds:
        return no_answer(spec, f"the answer came after {answer.seconds:.1f} s, later than {spec.timeout_seconds:g} s")
    took = f"in {answer.seconds * 1000:.0f} ms"
    if fault:
        return DependencyState(spec.name, Outcome.FAILED, f"{spec.name} {fault} ({took})", None, answer.seconds)
    if spec.version is None:
        return DependencyState(spec.name, Outcome.PASSED, f"{spec.name} answered {answer.status} {took}", None, answer.seconds)
    try:
        version = _version_in(answer, pointer=spec.version_at)
        fits = in_range(version, spec.version)
    except BadInput as error:
        return DependencyState(spec.name, Outcome.ERROR, f"{spec.name} answered {answer.status} {took}, but {error}", None, answer.seconds)
    outcome = Outcome.PASSED if fits else Outcome.FAILED
    verb = "lies in" if fits else "does not lie in"
    return DependencyState(spec.name, outcome, f"{spec.name} {version} {verb} {spec.version}; answered {took}", version, answer.seconds)


def _version_in(answer: Answer, *, pointer: str) -> str:
    fix = "Name a page that answers with a small JSON document, as it is."
    if answer.cut:
        raise BadInput("the body has more than 1 MB", field="url", fix=fix)
    if answer.encoding:
        raise BadInput(f"it {encoded(answer)}", field="url", fix=fix)
    try:
        version = value_at(parse_json(answer.body), pointer)
    except ValueError:
        raise BadInput("the body is not JSON", field="url", fix=fix) from None
    if not isinstance(version, str) or has_controls(version):
        fix = "Set `version_at` to the JSON Pointer of the version, as `/info/version`; it must be text."
        raise BadInput(f"the body has no text at {pointer or 'its top'}", field="version_at", fix=fix)
    return version


def may_follow(source: str, target: str) -> bool:
    """Return whether a redirect stays on the service's host: the same host and port, or from http to https of the same host.

    Args:
        source: The absolute URL that answered.
        target: The absolute URL that it points to.

    Returns:
        True if following it cannot lead to another machine.
    """
    try:
        here, there = urlsplit(source), urlsplit(target)
        same_host = here.hostname == there.hostname and there.username is None
        same_port = (here.scheme, here.port) == (there.scheme, there.port)
        upgrade = (here.scheme, there.scheme) == ("http", "https") and there.port in {None, 443} and here.port in {None, 80}
    except ValueError:
        return False
    return same_host and (same_port or upgrade)
