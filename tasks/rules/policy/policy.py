"""Policy: what every plan must keep that deploys to a protected platform block; the platform team keeps it beside the approval key.

A plan may be stricter, never weaker. Rollbacks are exempt, always. The JSON Schema in docs/ is made from here.
Windows and freezes say when a release may go on, the other sections what it must be; so they are not part of what people approve.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.rules.plan.file import Problem, read_section
from tasks.rules.plan.types import LABEL, METRIC, SIGNER, BlockName, Name, Person, Ratio, Section, TargetName, fault, refuse_doubles
from tasks.rules.plan.windows import CalendarWindow, PolicyWindows
from tasks.rules.windows.address import is_credential

ChecklistLine = Literal["tests_passed", "dependencies_verified", "rollback_ready", "monitoring_on", "team_told"]
Signatures = Literal["accepted", "required"]
RequesterName = Literal["named", "proved"]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class LeastApproval(Section):
    """The least approval, in the words of the plan's section `approval`. The requester never counts."""

    quorum: Annotated[int, Field(ge=0, le=20)] = 1
    """At least this many different people must approve."""
    approvers: Annotated[list[Person], Field(max_length=100)] = Field(default_factory=list)
    """Only the plan's approvers who are also listed here count; empty leaves them to the plan."""
    signatures: Signatures = "accepted"
    """`required`: only an approval signed with the approver's own SSH key counts; `accepted`: a code does, too."""
    requester: RequesterName = "named"
    """`proved`: the requester must confirm the request at the gate, by code or signature, beside those who approve; `named`: no proof."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        refuse_doubles(self.approvers)
        if self.requester == "proved" and not self.quorum:
            raise fault("a requester is proved at the gate, and a quorum of 0 opens none", fix="Write `quorum: 1` or more.")
        if self.approvers and self.quorum > len(self.approvers):
            wrong = f"a quorum of {self.quorum} can never be met by {len(self.approvers)} approver(s)"
            raise fault(wrong, fix="List more names in `approvers`, or lower the quorum.")
        return self


class Series(Section):
    """Series of Prometheus that count for `least_analysis`: an SLI of the plan must have these very fields."""

    metric: Annotated[str, Field(pattern=METRIC, max_length=200)] | None = None
    """The counter or histogram; left out, the usual one of the indicator."""
    selector: Annotated[str, Field(max_length=4_000)] = 'version="{version}"'
    """The label matchers."""
    status_label: Annotated[str, Field(pattern=LABEL, max_length=200)] = "status"
    """The label that holds the answer's status."""
    bad_status: Annotated[str, Field(min_length=1, max_length=200)] = "5.."
    """Which statuses are bad."""
    missing_status: Literal["bad", "good", "ignore"] = "bad"
    """How requests without a status count."""


class LeastAnalysis(Section):
    """The least analysis in production. A plan under it may not write `judgement.inconclusive: proceed`."""

    indicators: Annotated[list[Literal["errors", "latency"]], Field(max_length=2)] = Field(default_factory=list)
    """A deciding SLI with each of these is needed, within the bounds below. It counts if the platform counts its requests, or if it is of
    `series`: an SLI from PromQL of one's own, from a probe, or of other series may see no error at all."""
    prometheus: BlockName | None = None
    """The Prometheus block whose `series` count; left out, only what the platform counts does."""
    series: Annotated[list[Series], Field(max_length=50)] = Field(default_factory=lambda: [Series()])
    """Series that count, if `prometheus` is named. Default: those that an SLI has which writes none of these fields."""
    threshold_seconds: Annotated[float, Field(gt=0, le=3_600)] | None = None
    """The `threshold_seconds` of a latency SLI may be at most this; left out, any."""
    limit: Ratio = 1
    """The `limit` of such an SLI may be at most this."""
    tolerance: Ratio = 1
    """The `tolerance` of such an SLI may be at most this."""
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.2
    """The plan's `judgement.alpha` may be at most this: how often a version that is worse than allowed passes a watch."""
    min_requests: Annotated[int, Field(ge=1, le=10_000_000)] = 1
    """The plan's `judgement.min_requests` must be at least this: a watch does not pass before."""
    watch_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0
    """The steps of each protected environment are watched for up to this long, in sum; a verdict ends a watch earlier."""
    bake_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0
    """The steps last at least this long, in sum, whatever they show: their `bake_seconds`."""
    unwatched_percent: Annotated[int, Field(ge=0, le=100)] = 100
    """Each step with a larger share than this must be watched, the last one too; 0 means each step."""
    first_percent: Annotated[int, Field(ge=1, le=100)] = 100
    """Each step up to the first one that is watched gets at most this share of the traffic."""


class Source(Section):
    """Where a release must come from. Only a signature proves it: whoever wrote the repository on the worker's machine chose the rest."""

    repositories: Annotated[list[Text], Field(max_length=100)] = Field(default_factory=list)
    """The plan's repository must have one of these remote URLs, or one of these root commits (40 hexadecimal digits); empty allows any."""
    branches: Annotated[list[Text], Field(max_length=100)] = Field(default_factory=list)
    """The version's commit must lie on one of these branches; `*` stands for any part of a name; empty allows any."""
    signed: Literal["none", "commit", "tag"] = "none"
    """`commit`: the commit of the version's tag must be signed, `tag`: the tag, with the SSH key of a signer. The plan must be as in it."""
    signers: Annotated[list[Annotated[str, Field(pattern=SIGNER, max_length=2_000)]], Field(max_length=200)] = Field(default_factory=list)
    """Whose signatures count: lines of an allowed_signers file, as `ada ssh-ed25519 AAAA…` (`ssh-keygen(1)`)."""

    @model_validator(mode="after")
    def _has_signers(self) -> Self:
        if (self.signed == "none") == bool(self.signers):
            wrong = "signers are listed, but nothing must be signed" if self.signers else "no signature could be valid without `signers`"
            raise fault(wrong, fix="Write `signed: tag` (or commit) and `signers`, or leave both out.")
        return self


class Policy(Section):
    """A policy."""

    policy: Literal[1]
    """The version of this format."""
    name: Name
    """Its name, for people and for the file beside the key."""
    description: Annotated[str, Field(max_length=2_000)] = ""
    """What it is for, and whom to ask."""
    protects: Annotated[list[BlockName], Field(min_length=1, max_length=200)]
    """The platform blocks that it protects, each as `type/name`; there are no patterns."""
    environment: Literal["staging", "production"] = "production"
    """The section of a plan in which the blocks may be named. Staging is deployed before people are asked, so that no plan may name
    a production block there."""
    services: Annotated[list[Name], Field(min_length=1, max_length=200)]
    """The services that may release there."""
    shares: Annotated[list[Text], Field(max_length=200)] = Field(default_factory=list)
    """What of these environments releases of other services may change, too, in the words of the refusal: an Application that deploys
    several services, or a value in Git."""
    requesters: Annotated[list[Person], Field(max_length=200)] = Field(default_factory=list)
    """Who may request a release there; empty lets everyone. A name is proved only with `approval.requester: proved`."""
    approval: LeastApproval = LeastApproval(quorum=0)
    """The least approval; left out, it is left to the plan."""
    checklist: Annotated[list[ChecklistLine], Field(max_length=5)] = Field(default_factory=list)
    """Lines of the checklist that a plan may not turn off."""
    rehearsed_within_days: Annotated[float, Field(gt=0, le=366)] | None = None
    """A rollback must have been rehearsed within so many days (`shipway rehearse`), whatever the plan says; left out, as the plan says."""
    ticked: Annotated[list[TargetName], Field(max_length=30)] = Field(default_factory=list)
    """Names of items that people must tick: a plan must have each of them in `checklist.items`, as a required one before production."""
    least_analysis: LeastAnalysis | None = None
    """The least analysis; left out, it is left to the plan."""
    source: Source | None = None
    """Where a release must come from; left out, from anywhere."""
    windows: PolicyWindows = PolicyWindows()
    """When production may change, beside the plan's own windows: both must be open."""

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        for names in (self.protects, self.services, self.shares, self.requesters, list(self.checklist), self.ticked):
            refuse_doubles(names)
        if any(isinstance(one, CalendarWindow) and is_credential(one.ics) for one in (*self.windows.allow, *self.windows.deny)):
            wrong = "a calendar of a policy cannot be named by a credential block, which everybody who may use the API can change"
            raise fault(wrong, fix="Write its address with https, or a file on the worker's machine as `/srv/freezes.ics`.")
        asks = self.approval != LeastApproval(quorum=0) or self.least_analysis is not None
        if self.environment == "staging" and asks:
            wrong = "staging is deployed before people are asked, and without an analysis"
            raise fault(wrong, fix="Leave `approval` and `least_analysis` out, or protect the production block.")
        if self.environment == "staging" and self.windows != PolicyWindows():
            raise fault("staging is deployed at any time", fix="Leave `windows` out, or protect the production block.")
        return self


def read_policy(text: str | bytes, *, name: str) -> tuple[Policy | None, list[Problem]]:
    """Read a policy, as `read_plan` reads a plan: the policy and no problem, or None and every problem with its place and fix."""
    return read_section(text, name=name, model=Policy, noun="policy", begin="Begin with `policy: 1` and `name: NAME`.")


def schema_text() -> str:
    """Write the JSON Schema of policies as it is published in docs/policy.schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Policy.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
