"""Plan sections for evidence before a release: changes, tests, dependencies."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from tasks.rules.plan.http import HttpRequest, Pointer
from tasks.rules.plan.types import TAG, URL, Argument, Name, RepositoryPath, Seconds, Section, Specifier, fault

FORBIDDEN_IN_TAGS = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock/")


def _is_a_tag(tag: str) -> str:
    """Refuse tags that `git check-ref-format` refuses."""
    name = tag.replace("{version}", "1")
    if FORBIDDEN_IN_TAGS.search(f"/{name}/") or name.startswith("/") or name.endswith(("/", ".")):
        fix = "Leave out spaces, `..`, `@{`, `//`, a `.` at an end and each of `~ ^ : ? * [ \\`, as `git check-ref-format` requires."
        raise fault(f"`{tag}` cannot be the name of a tag", fix=fix)
    return tag


class ChangeLog(Section):
    """How the changes between the running and the new version are found in Git."""

    tag: Annotated[str, Field(pattern=TAG, max_length=200), AfterValidator(_is_a_tag)] = "v{version}"
    """The Git tag of a version; `{version}` is replaced."""
    paths: Annotated[list[RepositoryPath], Field(max_length=100)] = Field(default_factory=list)
    """Only commits that touch these paths count; they are relative to the plan's folder. Empty means the whole repository."""
    allow_empty: bool = False
    """Whether a release without any change is allowed (a configuration-only release)."""


class Junit(Section):
    """Test evidence as a JUnit XML file."""

    junit: RepositoryPath
    """The report, as the tests wrote it; the path starts in the plan's folder and stays inside it."""
    min_tests: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Fewer executed tests than this is a failure: no data is not a pass."""
    max_age_hours: Annotated[float, Field(gt=0, le=8_760)] | None = None
    """A report older than this is refused; without it any age is accepted."""


class Command(Section):
    """Test evidence as a command that must exit with 0."""

    command: Annotated[list[Argument], Field(min_length=1, max_length=100)]
    """Program and arguments; no shell reads them. Runs in the plan's folder."""
    timeout_seconds: Seconds = 600
    """The command is killed after this time, and counts as failed."""


class Dependency(HttpRequest):
    """A dependency: another service that must be healthy, in a fitting version; `{version}` is not replaced here."""

    name: Name
    """Its name, for people: lower-case letters, digits and inner dashes."""
    url: Annotated[str, Field(pattern=URL, max_length=2_000)]
    """Its address, which must answer as in `expect`, with JSON if `version` is given. Redirects are followed on the same host."""
    version: Specifier | None = None
    """The required version range, for example `>=2.1,<3`; without it only the answer counts."""
    version_at: Pointer = "/version"
    """JSON Pointer to the version in the answer; it must be text."""
    timeout_seconds: Seconds = 5
    """An answer that takes longer is a time-out."""
