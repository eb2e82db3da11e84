"""Plan sections of a smoke test: HTTP steps or pytest, and how a performance test compares."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from tasks.rules.plan.http import HttpCheck
from tasks.rules.plan.quantile import runs_needed
from tasks.rules.plan.types import Name, RepositoryPath, Seconds, Section, fault


class SmokeStep(HttpCheck):
    """A step of a smoke test: one HTTP request and the expected answer."""

    name: Annotated[str, Field(max_length=200)] = ""
    """What the step does, for people; its method and path are shown in any case."""


class Performance(Section):
    """How the times of a performance test are compared with the baseline."""

    quantile: Annotated[float, Field(ge=0.5, le=0.99)] = 0.9
    """The quantile of the times that is compared: 0.9 is what nine of ten runs stay below."""
    repeats: Annotated[int, Field(ge=5, le=1_000)] = 30
    """Runs of the steps against each version, alternately; up to four times as many if these are inconclusive."""
    max_ratio: Annotated[float, Field(ge=1, le=100)] = 1.5
    """The version may take this many times as long as the baseline…"""
    slack_seconds: Annotated[float, Field(ge=0, le=60)] = 0.05
    """…plus this much, because one of two short times is easily twice the other."""
    concurrency: Annotated[int, Field(ge=1, le=50)] = 1
    """Runs at the same time."""

    @field_validator("repeats")
    @classmethod
    def _repeats_suffice(cls, repeats: int, info: ValidationInfo) -> int:
        needed = runs_needed(info.data["quantile"]) if "quantile" in info.data else 0
        if repeats < needed:
            wrong = f"{repeats} repeats are too few for the quantile {info.data['quantile']:g}"
            raise fault(wrong, fix=f"Write {needed} or more, or a lower quantile.")
        return repeats


class SmokeTest(Section):
    """HTTP steps, or a pytest file or folder in a process of its own, run against one revision."""

    name: Name
    """Its name in tables and records."""
    pytest: RepositoryPath | None = None
    """File or folder inside the plan's folder; SHIPWAY_TARGET holds the target, SHIPWAY_VERSION the version. Or else `steps`."""
    steps: Annotated[list[SmokeStep], Field(min_length=1, max_length=50)] | None = None
    """Requests in their order; the first failure ends the test. Cookies are kept from step to step. Or else `pytest`."""
    kind: Literal["basic", "critical", "integration", "performance"] = "basic"
    """Its kind; `performance` is compared with the baseline, if there is one."""
    timeout_seconds: Seconds = 60
    """The test, with all its child processes, is killed after this time; that is a failure."""
    performance: Performance | None = None
    """Steps of kind performance only: how they are compared."""

    @field_validator("steps")
    @classmethod
    def _one_way(cls, steps: list[SmokeStep] | None, info: ValidationInfo) -> list[SmokeStep] | None:
        if "pytest" in info.data and (info.data["pytest"] is None) == (steps is None):
            wrong = "a smoke test has `pytest` or `steps`, not both" if steps else "a smoke test needs `pytest` or `steps`"
            raise fault(wrong, fix="Write `pytest: smoke/test_it.py`, or `steps:` with a list of requests.")
        return steps

    @field_validator("performance")
    @classmethod
    def _fits_its_kind(cls, performance: Performance | None, info: ValidationInfo) -> Performance | None:
        if not {"steps", "kind"} <= info.data.keys():
            return performance  # these are wrong themselves
        steps = info.data["steps"]
        if not steps or info.data["kind"] != "performance":
            if performance is not None:
                wrong = "only `steps` of `kind: performance` are compared here"
                raise fault(wrong, fix="Leave it out; pytest compares by itself, with SHIPWAY_BASELINE.")
            return None
        if all(step.expect.within_seconds is None for step in steps):
            wrong = "without a baseline, as in staging, nothing limits the time"
            raise fault(wrong, fix="Add `within_seconds` to the `expect` of a step.")
        return performance or Performance()
