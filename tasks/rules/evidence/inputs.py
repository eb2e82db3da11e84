"""What a release is about, as values: its plan as it was taken, and what was found when its inputs were collected."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from tasks.rules.evidence.change_log import ChangeLog
from tasks.rules.plan.plan import Plan
from tasks.rules.policy.policy import Policy
from tasks.rules.policy.rules import Rules, effective_rules

PROMETHEUS = "judgement.prometheus"  # as which the Prometheus block stands among the fingerprints of the platforms


class TakenPlan(BaseModel):
    """A plan as it was when it was taken.

    Fields:
        plan: The plan as JSON.
        path: The plan file, absolute.
        folder: The folder in which the plan's paths start, absolute.
        repository: The Git repository around it, or the folder.
        manifests: The Jobs of the plan's migrations, by name.
        manifest_problems: A sentence for each Job that cannot be read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    plan: dict[str, Any]
    path: str
    folder: str
    repository: str
    manifests: dict[str, dict[str, Any]] = {}
    manifest_problems: tuple[str, ...] = ()

    def parsed(self) -> Plan:
        """Give the plan as a model."""
        return Plan.model_validate(self.plan)


class Inputs(TakenPlan):
    """What a release is about.

    Fields:
        version: The version under release.
        current: The version that runs now, by environment; None if none does.
        previous: The version that ran before it, by environment.
        change_log: What the version changes; if targets run different versions, the changes of all.
        platforms: The fingerprint of each platform's settings, by environment, and of those of `judgement.prometheus`.
        digest: The hash over all of it, which people approve.
        previews: What the platforms would change, by environment, for those that can say it.
        policies: The policies that protect the platform blocks, as they were read.
        edits: The values that would be set in Git, with what stands there now, by environment of production.
        files: The hash of each file that decides and that the plan, or a platform that runs programs, only names.
    """

    version: str
    current: dict[str, str | None]
    previous: dict[str, str | None]
    change_log: ChangeLog
    platforms: dict[str, str]
    digest: str
    previews: dict[str, dict[str, Any]] = {}
    policies: tuple[Policy, ...] = ()
    edits: dict[str, tuple[str, ...]] = {}
    files: dict[str, str] = {}

    def taken(self) -> TakenPlan:
        """Give the plan as it was taken."""
        return TakenPlan(**{name: getattr(self, name) for name in TakenPlan.model_fields})

    def rules(self) -> Rules:
        """Give the effective rules: the plan's, and those of the policies."""
        return effective_rules(self.parsed(), self.policies)
