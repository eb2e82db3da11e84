"""Plan: what a release of one service may do, reviewed like code and written as YAML in the service's repository.

Every field has a bound, a unit in its name and a description; the JSON Schema in docs/ is made from here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

import regex
from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from tasks.rules.plan.approval import Approval
from tasks.rules.plan.checklist import Checklist
from tasks.rules.plan.data import DataSuites, Samples
from tasks.rules.plan.deployments import Deployments
from tasks.rules.plan.documentation import Documentation
from tasks.rules.plan.evidence import ChangeLog, Command, Dependency, Junit
from tasks.rules.plan.judgement import Judgement, PlatformSli, ProbeSli, PrometheusPairSli, PrometheusSli, Sli
from tasks.rules.plan.migrations import Migrations
from tasks.rules.plan.observation import Observation
from tasks.rules.plan.receivers import Notified, Receiver, expect_receivers
from tasks.rules.plan.script_failure import ScriptFailure
from tasks.rules.plan.types import BlockName, Name, Person, Ratio, RepositoryPath, Seconds, Section, TargetName, fault, refuse_doubles
from tasks.rules.plan.verification import HealthCheck, SmokeTest, Stability, Verification
from tasks.rules.plan.version import VERSION_PATTERN
from tasks.rules.plan.windows import Windows

__all__ = [
    "Approval", "BlockName", "ChangeLog", "Checklist", "Command", "Dependency", "Environment", "Evidence", "HealthCheck", "Judgement",
    "Junit", "Logs", "Name", "Person", "Plan", "PlatformSli", "ProbeSli", "Production", "PrometheusPairSli", "PrometheusSli", "Ratio",
    "RepositoryPath", "Rollback", "Seconds", "Section", "Sli", "SmokeTest", "Stability", "Staging", "Step", "Target", "Verification",
    "Waves",
]  # fmt: skip


class Step(Section):
    """A step: one increment of production traffic."""

    percent: Annotated[int, Field(ge=1, le=100)]
    """Share of new requests that the canary gets in this step."""
    watch_seconds: Annotated[float, Field(ge=0, le=86_400)] = 300
    """How long the step is watched at most; a verdict ends it earlier. 0 does not watch (only sensible before a longer step)."""
    bake_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0
    """The step does not pass before this time, at most `watch_seconds`; a failed verdict ends it at once."""

    @field_validator("bake_seconds")
    @classmethod
    def _fits_the_watch(cls, seconds: float, info: ValidationInfo) -> float:
        watched = info.data.get("watch_seconds", seconds)
        if seconds > watched:
            wrong = f"the step must last {seconds:g} s, but is watched for {watched:g} s at most"
            raise fault(wrong, fix=f"Write `watch_seconds: {seconds:g}` or more, or a shorter `bake_seconds`.")
        return seconds


def _rise(steps: list[Step]) -> list[Step]:
    shares = [step.percent for step in steps]
    rising = sorted(set(shares))
    if shares != rising:
        wrong = f"steps must rise: {', '.join(map(str, shares))}"
        raise fault(wrong, fix=f"Write them in the order {', '.join(map(str, rising))}, each share once.")
    if shares[-1] != 100:  # noqa: PLR2004
        raise fault(f"the last step must be 100 %, not {shares[-1]} %", fix="Add `- percent: 100` at the end.")
    return steps


Steps = Annotated[list[Step], Field(min_length=1, max_length=50), AfterValidator(_rise)]


Strategy = Literal["rolling", "canary", "blue-green"]


class Environment(Section):
    """An environment in which versions run."""

    platform: BlockName
    """The platform, a Prefect block as `type/name`: `local/guestbook-production`."""
    strategy: Strategy | None = None
    """Rollout strategy of a Kubernetes platform; default is the platform block's own."""
    ready_timeout_seconds: Seconds = 60
    """A revision that takes longer to become ready has failed."""


class Staging(Environment):
    """The environment to which a version is deployed first."""

    keep_on_failure: bool = False
    """True keeps a failed version in staging for analysis; else staging is rolled back, too."""


class Production(Environment):
    """Production: the environment that users see, and the steps of its traffic."""

    steps: Steps
    """Increments in rising order; the last one is 100 %, which is watched after all traffic is shifted, with the baseline still warm."""


class Target(Section):
    """A target: one of several environments that together are production."""

    name: TargetName
    """Its name: the environment is `production/NAME`."""
    platform: BlockName
    """Its platform; each target needs its own."""
    wave: Annotated[int, Field(ge=1, le=100)] | None = None
    """Targets of the same wave are released in parallel, the waves in rising order; without numbers each target is its own wave."""
    strategy: Strategy | None = None
    """As in `production`, for this target alone; else that of `production`."""
    ready_timeout_seconds: Seconds | None = None
    """As in `production`, for this target alone; else that of `production`."""
    steps: Steps | None = None
    """As in `production`, for this target alone; else those of `production`."""


class Waves(Section):
    """Production as several targets, in waves: the next wave starts once the previous one is verified and promoted."""

    targets: Annotated[list[Target], Field(min_length=1, max_length=100)]
    """The targets in the order of their waves."""
    on_wave_failure: Literal["back", "keep"] = "back"
    """If a target fails: completed targets are rolled `back`, too, or `keep` the new version."""
    strategy: Strategy | None = None
    """As for one target; default of every target."""
    ready_timeout_seconds: Seconds = 60
    """As for one target; default of every target."""
    steps: Steps | None = None
    """As for one target; default of every target."""

    @model_validator(mode="before")
    @classmethod
    def _is_one_or_several(cls, section: Any) -> Any:
        if isinstance(section, dict) and "platform" in section:
            raise fault("`platform` and `targets` are both given", fix="Write `platform` for one production, or `targets` for several.")
        return section

    @model_validator(mode="after")
    def _can_be_walked(self) -> Self:
        refuse_doubles([target.name for target in self.targets])
        refuse_doubles([target.platform for target in self.targets])
        without = [target.name for target in self.targets if (target.steps or self.steps) is None]
        if without:
            wrong = f"the target {without[0]} has no steps"
            raise fault(wrong, fix="Write `steps` in `production`, for every target, or in the target.")
        return self

    @model_validator(mode="after")
    def _are_in_the_order_of_their_waves(self) -> Self:
        waves = [target.wave for target in self.targets]
        numbered = [wave for wave in waves if wave is not None]
        if numbered and len(numbered) < len(waves):
            wrong = f"the target {self.targets[waves.index(None)].name} has no `wave`, though others have one"
            raise fault(wrong, fix="Give every target a `wave`, or none of them.")
        if numbered != sorted(numbered):
            ordered = ", ".join(target.name for target in sorted(self.targets, key=lambda target: target.wave or 0))
            raise fault(f"the waves fall: {', '.join(map(str, numbered))}", fix=f"List the targets in the order of their waves: {ordered}.")
        return self


def _kind_of_production(value: Any) -> str:
    several = isinstance(value, Waves) or (isinstance(value, dict) and "targets" in value)
    return "several" if several else "one"


class Rollback(Section):
    """Rollback: how a release is rolled back."""

    to: Annotated[str, Field(pattern=VERSION_PATTERN)] = "previous"
    """The version to roll back to if the baseline is not warm any more: `previous`, or a fixed version."""
    watch_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60
    """How long the service is watched after a rollback."""
    max_error_ratio: Ratio = 0.05
    """The rollback is verified if at most this share of the requests in the watch failed."""


class Logs(Section):
    """How a revision's logs are judged after the deployment."""

    error_pattern: Annotated[str, Field(min_length=1, max_length=500)] = r"\b(ERROR|CRITICAL|FATAL|Traceback)\b"
    """A regular expression (Python's); a matching line is an error line."""
    max_new_error_lines: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """More kinds of error lines than this, which the baseline never logged, are a failure; see `incomplete` if its log is known in part."""

    incomplete: Literal["fail", "warn"] = "warn"
    """If lines of the version could not be read (a log that was cut or turned over, a pod whose log may not be read), or it logged more new
    kinds than allowed while the baseline's log is known only in part: say so, or fail as no data does."""

    @field_validator("error_pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
            regex.compile(pattern)  # which matches it, within a time limit
        except (re.error, regex.error, OverflowError, RecursionError) as error:
            raise fault(f"the pattern is not a regular expression: {error}", fix="Write one that Python's `re` can read.") from None
        return pattern


def _kind_of_evidence(value: Any) -> str | None:
    if isinstance(value, Section):
        return type(value).__name__.lower()
    kinds = [kind for kind in ("junit", "command") if isinstance(value, dict) and kind in value]
    return kinds[0] if kinds else None


Evidence = Annotated[Annotated[Junit, Tag("junit")] | Annotated[Command, Tag("command")], Discriminator(_kind_of_evidence)]


class Plan(Section):
    """A deployment plan."""

    shipway: Literal[1]
    """The version of this format."""
    service: Name
    """The service's name: lower-case letters, digits and inner dashes. One release of it runs at a time."""
    description: Annotated[str, Field(max_length=2_000)] = ""
    """What the service is, for approvers."""
    on_conflict: Literal["refuse", "queue", "supersede"] = "refuse"
    """If a release of this service is running: refuse the new one, queue it, or roll the older one back first."""
    change_log: ChangeLog = ChangeLog()
    """How the changes are read."""
    tests: Annotated[list[Evidence], Field(max_length=50)] = Field(default_factory=list)
    """Evidence that the tests passed."""
    dependencies: Annotated[list[Dependency], Field(max_length=100)] = Field(default_factory=list)
    """Other services that this one needs."""
    verification: Verification
    """Verification of a revision."""
    judgement: Judgement
    """How the steps are judged."""
    samples: Samples = Samples()
    """How the steps' readings are validated as a table."""
    data: DataSuites = Field(default_factory=list)
    """Great-expectations suites over the service's own data."""
    migrations: Migrations = Field(default_factory=list)
    """Jobs that change what the versions share."""
    staging: Staging
    """The environment before production."""
    production: Annotated[Annotated[Production, Tag("one")] | Annotated[Waves, Tag("several")], Discriminator(_kind_of_production)]
    """Production and its steps: one platform, or `targets`."""
    approval: Approval
    """Who must approve before production; `{quorum: 0}` states that no approval is needed."""
    windows: Windows = Windows()
    """When production may change; left out, at any time."""
    on_script_failure: ScriptFailure = ScriptFailure()
    """What happens if a script of the script platform fails; left out, the release is rolled back."""
    rollback: Rollback
    """Rollback; a plan without it is refused."""
    checklist: Checklist = Checklist()
    """What must be true before production."""
    logs: Logs = Logs()
    """How logs are judged."""
    observe: Observation = Observation()
    """For how long production is looked at again after a deployment; left out, it is not."""
    documentation: Documentation = Documentation()
    """The page that documents each deployment."""
    notify: Annotated[list[Notified], Field(max_length=50)] = Field(default_factory=list)
    """Prefect notification blocks that get messages: `slack-webhook/team`, or as `{to: slack-webhook/team, at_least: error}`."""
    deployments: Deployments | None = None
    """Where a forge shows what is deployed; left out, nowhere."""

    @field_validator("production")
    @classmethod
    def _apart_from_staging(cls, production: Production | Waves, info: ValidationInfo) -> Production | Waves:
        named = [target.platform for target in production.targets] if isinstance(production, Waves) else [production.platform]
        if "staging" in info.data and info.data["staging"].platform in named:
            raise fault("staging and production are the same platform", fix="Name a platform block of its own for each.")
        return production

    @field_validator("notify")
    @classmethod
    def _can_be_told(cls, notify: list[str | Receiver], info: ValidationInfo) -> list[str | Receiver]:
        expect_receivers(notify, announces="checklist" in info.data and info.data["checklist"].team_told)
        return notify

    @field_validator("windows")
    @classmethod
    def _can_ask(cls, windows: Windows, info: ValidationInfo) -> Windows:
        if windows.if_too_short == "ask" and "approval" in info.data and info.data["approval"].quorum == 0:
            raise fault("`if_too_short: ask` asks approvers, and the plan names none", fix="Name them in `approval`, or write `wait`.")
        return windows

    @field_validator("on_script_failure")
    @classmethod
    def _can_ask_about_scripts(cls, section: ScriptFailure, info: ValidationInfo) -> ScriptFailure:
        if section.then == "ask" and "approval" in info.data and info.data["approval"].quorum == 0:
            raise fault("`then: ask` asks approvers, and the plan names none", fix="Name them in `approval`, or write `roll_back`.")
        return section

    @field_validator("checklist")
    @classmethod
    def _has_evidence(cls, checklist: Checklist, info: ValidationInfo) -> Checklist:
        if checklist.tests_passed and info.data.get("tests") == []:
            wrong = "the checklist requires passed tests, but `tests` does not name evidence"
            raise fault(wrong, fix="Add it to `tests`, or write `checklist: {tests_passed: false}`.")
        return checklist.with_people(info.data["approval"].approvers) if "approval" in info.data else checklist

    def asks_people(self) -> bool:
        """Say whether the plan asks people before production: for approvals, or for ticks of its checklist."""
        return bool(self.approval.quorum or self.checklist.required())
