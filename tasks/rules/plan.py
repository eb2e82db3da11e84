"""The plan: what a release of one service may do, reviewed like code and written as YAML in the service's repository.

Every field has a bound, a unit in its name and a description; the JSON Schema in docs/ is made from here.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="Lower-case letters, digits and inner dashes.")]
Person = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._@-]{0,63}$", description="A person's name as enrolled with `shipway approvers add`.")]
RepositoryPath = Annotated[str, Field(min_length=1, max_length=500, description="Path inside the repository, relative to the plan's folder.")]
BlockName = Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$", description="A Prefect block as `type/name`.")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Ratio = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the plan: unknown fields are errors, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ChangeLog(Section):
    """How the changes between the running and the new version are found in Git."""

    tag: Annotated[str, Field(pattern=r"\{version\}")] = "v{version}"
    """How a version is named in Git; `{version}` is replaced."""
    paths: list[RepositoryPath] = Field(default_factory=list)
    """Only commits that touch these paths count; empty means all."""
    allow_empty: bool = False
    """Whether a release without any change may go on (a configuration-only release)."""


class Junit(Section):
    """Test evidence as a JUnit XML file."""

    junit: RepositoryPath
    """The report, as the tests wrote it."""
    min_tests: Annotated[int, Field(ge=1)] = 1
    """Fewer executed tests than this is a failure: no data is not a pass."""
    max_age_hours: Annotated[float, Field(gt=0, le=8_760)] | None = None
    """An older report is refused; None accepts any age."""


class Command(Section):
    """Test evidence as a command that must exit with 0."""

    command: Annotated[list[str], Field(min_length=1, max_length=100)]
    """Program and arguments; no shell reads them. Runs in the repository's root."""
    timeout_seconds: Seconds = 600
    """The command is ended after this time, and counts as failed."""


class Dependency(Section):
    """Another service that must be there, healthy and of a fitting version."""

    name: Name
    """Its name, for people."""
    url: Annotated[str, Field(pattern=r"^https?://")]
    """Where it answers with status 200 and, where `version` is given, a JSON object."""
    version: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The range that fits, as `>=2.1,<3`; None asks for health alone."""
    version_field: str = "version"
    """The member of the JSON answer that holds the version."""
    timeout_seconds: Seconds = 5
    """An answer later than this is no answer."""


class HealthCheck(Section):
    """One HTTP request that says whether a revision is well."""

    path: Annotated[str, Field(pattern=r"^/")] = "/healthz"
    """Path on the revision."""
    status: Annotated[int, Field(ge=100, le=599)] = 200
    """The only status that counts as well."""
    json_fields: dict[str, str] = Field(default_factory=dict, alias="json")
    """Members of the JSON answer that must have these values; `{version}` stands for the version under release."""
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 2
    """An answer later than this is a failure."""


class Stability(Section):
    """How long health must hold before it counts: one good answer is luck."""

    successes: Annotated[int, Field(ge=1, le=1_000)] = 3
    """Good answers in a row that every check must give."""
    interval_seconds: Annotated[float, Field(gt=0, le=300)] = 0.5
    """Time between two rounds."""
    timeout_seconds: Seconds = 30
    """The whole check fails when it is not stable by then."""


class SmokeTest(Section):
    """A pytest file or folder that is run against one revision, in a process of its own."""

    name: Name
    """Its name in tables and records."""
    pytest: RepositoryPath
    """File or folder; the target is in the environment variable SHIPWAY_TARGET, the version in SHIPWAY_VERSION."""
    kind: Literal["basic", "critical", "integration", "performance"] = "basic"
    """What it speaks for."""
    timeout_seconds: Seconds = 60
    """The process and all its children are ended after this time; that is a failure."""


class Verification(Section):
    """What `verify` checks on a revision, in staging and in production."""

    health: Annotated[list[HealthCheck], Field(min_length=1, max_length=200)]
    """Requests that must all be well; at least one."""
    stability: Stability = Stability()
    """How long they must hold."""
    smoke: list[SmokeTest] = Field(default_factory=list)
    """Smoke tests; run side by side."""
    max_error_ratio: Ratio = 0.05
    """Error monitoring: refused when more of a revision's requests than this failed (where any were made)."""


class Sli(Section):
    """One service level indicator: bad events over all events, judged against the baseline and an absolute limit."""

    name: Name
    """Its name in verdicts and pictures."""
    source: Literal["platform"] = "platform"
    """Where the counts come from: `platform` is the place where traffic is split."""
    indicator: Literal["errors", "latency"]
    """`errors`: failed requests over requests; `latency`: requests slower than `threshold_seconds` over requests."""
    threshold_seconds: Annotated[float, Field(gt=0, le=3_600)] | None = None
    """Latency only: a slower answer is a bad event. Snapped to the next histogram bucket, which is said."""
    tolerance: Ratio = 0.01
    """The canary may be worse than the baseline by this much (a difference of ratios)."""
    limit: Ratio = 0.05
    """The canary fails above this ratio, whatever the baseline does."""
    deciding: bool = True
    """False: shown, never decides (a dry run of a new indicator)."""

    @model_validator(mode="after")
    def _threshold_fits(self) -> Self:
        if (self.indicator == "latency") != (self.threshold_seconds is not None):
            message = "a latency indicator needs `threshold_seconds`, and no other may have it"
            raise ValueError(message)
        return self


class Judgement(Section):
    """How the watch of a step decides."""

    slis: Annotated[list[Sli], Field(min_length=1, max_length=50)]
    """What is judged; at least one must decide."""
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    """The probability of failing a version that is as good as allowed, over the whole watch of one step and all SLIs."""
    min_requests: Annotated[int, Field(ge=1, le=10_000_000)] = 50
    """The canary must have served this many requests before it can pass."""
    interval_seconds: Annotated[float, Field(ge=0.2, le=600)] = 1
    """Time between two readings of the counts."""
    undecided: Literal["ask", "extend", "proceed", "rollback"] = "ask"
    """When the time is up and neither side is shown: ask a person, watch as long again (once, then roll back), go on, or go back."""
    answer_within_minutes: Annotated[float, Field(gt=0, le=10_080)] = 60
    """`ask` goes back when nobody answers in this time."""

    @model_validator(mode="after")
    def _somebody_decides(self) -> Self:
        if not any(sli.deciding for sli in self.slis):
            message = "no SLI decides; set `deciding: true` on at least one"
            raise ValueError(message)
        names = [sli.name for sli in self.slis]
        if len(set(names)) != len(names):
            message = "two SLIs have the same name"
            raise ValueError(message)
        return self


class Step(Section):
    """One increment of production traffic."""

    percent: Annotated[int, Field(ge=1, le=100)]
    """Share of new requests that the canary gets in this step."""
    watch_seconds: Annotated[float, Field(ge=0, le=86_400)] = 300
    """How long the step may be watched; a verdict ends it earlier. 0 does not watch (only sensible before a longer step)."""


class Environment(Section):
    """Where versions run."""

    platform: BlockName
    """The platform block: `local/guestbook-production`."""
    ready_timeout_seconds: Seconds = 60
    """A revision that is not ready by then cannot be rolled out."""


class Staging(Environment):
    """The environment that a version sees first."""

    keep_on_failure: bool = False
    """True leaves a failed version in staging for study; else staging goes back too."""


class Production(Environment):
    """The environment that users see, and the increments on the way there."""

    steps: Annotated[list[Step], Field(min_length=1, max_length=50)]
    """Increments in rising order; the last one is 100 %, whose watch is the watch after promotion with the baseline still warm."""

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        shares = [step.percent for step in self.steps]
        if shares != sorted(set(shares)):
            message = f"steps must rise: {shares}"
            raise ValueError(message)
        if shares[-1] != 100:  # noqa: PLR2004
            message = f"the last step must be 100 %, not {shares[-1]} %"
            raise ValueError(message)
        return self


class Approval(Section):
    """Who must agree before production."""

    approvers: Annotated[list[Person], Field(max_length=100)] = Field(default_factory=list)
    """The names that may approve."""
    quorum: Annotated[int, Field(ge=0, le=20)] = 1
    """How many different people must approve; 0 needs nobody."""
    expires_after_minutes: Annotated[float, Field(gt=0, le=43_200)] = 240
    """A gate without enough approvals by then ends the release as refused."""
    max_wrong_codes: Annotated[int, Field(ge=1, le=100)] = 5
    """So many wrong one-time codes end the release as refused."""
    block: BlockName = "approvers/shipway"
    """The block in which the approvers are enrolled."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if len(set(self.approvers)) != len(self.approvers):
            message = "a name is listed twice"
            raise ValueError(message)
        if self.quorum > len(self.approvers):
            message = f"quorum {self.quorum} can never be met by {len(self.approvers)} approver(s)"
            raise ValueError(message)
        return self


class Rollback(Section):
    """How a release goes back."""

    to: Literal["previous"] | Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._+-]{0,127}$")] = "previous"
    """The version to return to when nothing warm is left: the one before, or a fixed one."""
    watch_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60
    """How long the service is watched after the way back."""
    max_error_ratio: Ratio = 0.05
    """The rollback counts as verified when at most this share of the requests in the watch failed."""


class Checklist(Section):
    """What must be true before production; each line is checked, not believed, where a machine can."""

    tests_passed: bool = True
    """Ask for the evidence of the section `tests`."""
    dependencies_verified: bool = True
    """Ask for the section `dependencies` to be well."""
    rollback_ready: bool = True
    """Ask for a version to go back to, and a platform that answers."""
    monitoring_on: bool = True
    """Ask for a reading of every SLI's counts."""
    team_told: bool = True
    """Ask for the announcement to have gone out."""


class Logs(Section):
    """How a revision's logs are judged after the deployment."""

    error_pattern: Annotated[str, Field(min_length=1, max_length=500)] = r"\b(ERROR|CRITICAL|FATAL|Traceback)\b"
    """A regular expression; a matching line is an error line."""
    max_new_error_lines: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """More kinds of error lines than this that the baseline never logged are a failure."""


class Plan(Section):
    """A deployment plan, whole."""

    shipway: Literal[1]
    """The version of this format."""
    service: Name
    """The service's name; one release of it runs at a time."""
    description: Annotated[str, Field(max_length=2_000)] = ""
    """What the service is, for approvers."""
    on_conflict: Literal["refuse", "queue", "supersede"] = "refuse"
    """When a release of this service is under way: refuse the new one, let it wait, or send the older one back first."""
    change_log: ChangeLog = ChangeLog()
    """Where the changes are read."""
    tests: Annotated[list[Junit | Command], Field(max_length=50)] = Field(default_factory=list)
    """Evidence that the tests passed."""
    dependencies: Annotated[list[Dependency], Field(max_length=100)] = Field(default_factory=list)
    """Other services that this one needs."""
    verification: Verification
    """What `verify` checks."""
    judgement: Judgement
    """How the steps are judged."""
    staging: Staging
    """The environment before production."""
    production: Production
    """Production and its steps."""
    approval: Approval
    """Who must agree; `{quorum: 0}` says openly that nobody must."""
    rollback: Rollback
    """The way back; a plan without one is refused."""
    checklist: Checklist = Checklist()
    """What must be true before production."""
    logs: Logs = Logs()
    """How logs are judged."""
    notify: list[BlockName] = Field(default_factory=list)
    """Prefect notification blocks that are told: `slack-webhook/team`."""

    @model_validator(mode="after")
    def _checklist_has_evidence(self) -> Self:
        if self.checklist.tests_passed and not self.tests:
            message = "the checklist asks for passed tests, but `tests` names no evidence; add it or set `checklist.tests_passed: false`"
            raise ValueError(message)
        if self.staging.platform == self.production.platform:
            message = "staging and production are the same platform"
            raise ValueError(message)
        return self
