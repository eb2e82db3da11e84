"""Sections of the plan that say what must be known before anything moves: changes, tests, other services."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from tasks.rules.plan.http import HttpRequest, Pointer
from tasks.rules.plan.types import TAG, URL, Argument, Name, RepositoryPath, Seconds, Section, Specifier, fault

FORBIDDEN_IN_TAGS = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock/")


def _is_a_tag(tag: str) -> str:
    """Refuse what `git check-ref-format` refuses of `refs/tags/…`."""
    name = tag.replace("{version}", "1")
    if FORBIDDEN_IN_TAGS.search(f"/{name}/") or name.startswith("/") or name.endswith(("/", ".")):
        fix = "Leave out spaces, `..`, `@{`, `//`, a `.` at an end and each of `~ ^ : ? * [ \\`, as `git check-ref-format` asks."
        raise fault(f"`{tag}` cannot be the name of a tag", fix=fix)
    return tag


class ChangeLog(Section):
    """How the changes between the running and the new version are found in Git."""

    tag: Annotated[str, Field(pattern=TAG, max_length=200), AfterValidator(_is_a_tag)] = "v{version}"
    """How a version is named in Git: any name that Git takes for a tag; `{version}` is replaced."""
    paths: Annotated[list[RepositoryPath], Field(max_length=100)] = Field(default_factory=list)
    """Only commits that touch these paths count, which start in the plan's folder; empty means the whole repository."""
    allow_empty: bool = False
    """Whether a release without any change may go on (a configuration-only release)."""


class Junit(Section):
    """Test evidence as a JUnit XML file."""

    junit: RepositoryPath
    """The report, as the tests wrote it; the path starts in the plan's folder and stays inside it."""
    min_tests: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Fewer executed tests than this is a failure: no data is not a pass."""
    max_age_hours: Annotated[float, Field(gt=0, le=8_760)] | None = None
    """A report written longer ago than this is refused; without it any age will do."""


class Command(Section):
    """Test evidence as a command that must exit with 0."""

    command: Annotated[list[Argument], Field(min_length=1, max_length=100)]
    """Program and arguments; no shell reads them. Runs in the plan's folder."""
    timeout_seconds: Seconds = 600
    """The command is ended after this time, and counts as failed."""


class Dependency(HttpRequest):
    """Another service that must be there, healthy and of a fitting version; `{version}` stands for nothing here."""

    name: Name
    """Its name, for people: lower-case letters, digits and inner dashes."""
    url: Annotated[str, Field(pattern=URL, max_length=2_000)]
    """Where it answers as `expect` says, and with a JSON document where `version` is given. Redirects are followed on the same host."""
    version: Specifier | None = None
    """The range that fits, as `>=2.1,<3`; without it only the answer counts."""
    version_at: Pointer = "/version"
    """JSON Pointer to the version in the answer; text must stand there."""
    timeout_seconds: Seconds = 5
    """An answer later than this is no answer."""
