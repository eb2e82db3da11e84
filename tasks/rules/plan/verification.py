"""Plan sections for verification of a revision: health, stability, smoke tests."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tasks.rules.plan.http import HttpCheck
from tasks.rules.plan.smoke import SmokeTest
from tasks.rules.plan.types import URL_PATH, Ratio, Seconds, Section, refuse_doubles

__all__ = ["CheckKind", "HealthCheck", "SmokeTest", "Stability", "Verification"]

CheckKind = Literal["health", "basic", "critical", "integration", "performance"]


class HealthCheck(HttpCheck):
    """A health check: one HTTP request to a revision."""

    path: Annotated[str, Field(pattern=URL_PATH, max_length=2_000)] = "/healthz"
    """Path and query on the revision; `{version}` stands for the revision's version."""
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 2
    """An answer that takes longer is a failure."""


class Stability(Section):
    """How long health must hold before it counts: one good answer is luck."""

    successes: Annotated[int, Field(ge=1, le=1_000)] = 3
    """Good answers in a row that every check must give."""
    interval_seconds: Annotated[float, Field(gt=0, le=300)] = 0.5
    """Time between two rounds."""
    timeout_seconds: Seconds = 30
    """The check fails if it is not stable in this time."""


def _health_alone() -> list[CheckKind]:
    return ["health"]


class Verification(Section):
    """Verification of a revision, in staging and in production."""

    health: Annotated[list[HealthCheck], Field(min_length=1, max_length=200)]
    """Health checks, which must all pass; at least one."""
    stability: Stability = Stability()
    """How long health must hold."""
    smoke: Annotated[list[SmokeTest], Field(max_length=50)] = Field(default_factory=list)
    """Smoke tests; run in parallel, those of kind performance afterwards one by one, so that other tests do not disturb them."""
    smoke_concurrency: Annotated[int, Field(ge=1, le=50)] = 4
    """Smoke tests at the same time."""
    verify_steps: Annotated[list[CheckKind], Field(max_length=5)] = Field(default_factory=_health_alone)
    """Checks of the canary after each step but the last, behind which all run: `health`, and smoke tests by kind. `[]` makes none."""
    max_error_ratio: Ratio = 0.05
    """Error monitoring: fails if more of a revision's requests than this failed (if there were any)."""

    @field_validator("smoke")
    @classmethod
    def _each_once(cls, smoke: list[SmokeTest]) -> list[SmokeTest]:
        refuse_doubles([test.name for test in smoke])
        return smoke

    @field_validator("verify_steps")
    @classmethod
    def _each_kind_once(cls, kinds: list[CheckKind]) -> list[CheckKind]:
        refuse_doubles(kinds)
        return kinds
