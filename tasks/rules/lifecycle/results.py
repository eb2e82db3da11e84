"""What phases hand each other: frozen values with one `Outcome`, which Prefect stores as JSON; and the worst of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from blocks.errors import ScriptFailed
from blocks.outside_text import OutsideText, as_ending, error_text
from tasks.rules.analysis.outcome import Outcome, worst
from tasks.rules.approval.proofs import Proof

INCONCLUSIVE = {Outcome.WATCHING, Outcome.NO_DATA, Outcome.MISMATCH}  # of a step that showed neither side in its time
Decisions = dict[str, dict[int, str]]  # what people decided about inconclusive steps: by environment, then by the step's percent


CleanReason = Annotated[OutsideText, BeforeValidator(as_ending)]  # it may quote anything, so it is cleaned where it is made


class PhaseResult(BaseModel):
    """How a phase, or a part of one, ended.

    Fields:
        outcome: What was found; only `passed` lets a release go on.
        reason: Why, with its numbers.
        judged: Whether there was anything to judge; what had nothing stops no release, and counts as no check.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: Outcome
    reason: CleanReason
    judged: bool = True

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> PhaseResult:
        """Read outcome and reason of what a check found, a mapping with more than these; an unknown outcome is an error."""
        said = str(found["outcome"])
        return PhaseResult(outcome=Outcome(said) if said in set(Outcome) else Outcome.ERROR, reason=as_ending(found["reason"]))

    @property
    def passed(self) -> bool:
        """Whether it passed; everything else did not."""
        return self.outcome is Outcome.PASSED

    def at(self, place: str) -> Self:
        """Name the place in the reason, unless the reason names it already; "" leaves it as it is."""
        return self if not place or place in self.reason else self.model_copy(update={"reason": as_ending(f"{place}: {self.reason}")})


class StepResult(PhaseResult):
    """How one step ended; `step` is its share of the traffic in percent."""

    step: Annotated[int, Field(ge=0, le=100)]


class Analysis(PhaseResult):
    """What a watch of one step found; its JSON is the evidence of a record's `samples` entry.

    Fields:
        step_percent: The canary's share of the traffic.
        started_at: When the traffic had moved, in seconds since the epoch.
        versions: The versions under watch, as `canary` and `baseline`.
        slis: The plan's SLIs.
        points: The readings: `at`, and a verdict for each SLI.
        probes: What another span of the same step goes on from.
        samples: What was read, a row a reading, SLI and revision.
        mismatch: Why the canary's share of the requests is not the one that was set; "" if it is, or too little is known.
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")  # a bound that is not finite stays so

    step_percent: int
    started_at: float
    versions: dict[str, str | None]
    slis: list[dict[str, Any]]
    points: list[dict[str, Any]]
    probes: dict[str, Any]
    samples: list[dict[str, Any]]
    mismatch: str = ""


class FailedScript(BaseModel):
    """A script that failed, about which people are asked; the fields are those of `blocks.errors.ScriptFailed`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    act: str
    step: str
    runs: int
    lines: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    host: str = ""
    hosts: int = 0


class TargetResult(PhaseResult):
    """How the rollout of one environment ended.

    Fields:
        environment: Which one.
        step: The step at which it ended, in percent; None if it ended at none.
        is_inconclusive: Whether that step showed neither side, or its script failed, so that people may be asked.
        is_held: Whether it was held before it began, so that the wave is to wait.
        script: The script that failed, if people are asked about that.
    """

    environment: str
    step: int | None = None
    is_inconclusive: bool = False
    is_held: bool = False
    script: FailedScript | None = None


class WaveResult(PhaseResult):
    """How a wave ended.

    Fields:
        targets: The results of those that came to their end, by environment.
        ended_by: The target that ended the wave by failing; "" if none did.
    """

    targets: dict[str, TargetResult]
    ended_by: str = ""

    @property
    def inconclusive(self) -> list[TargetResult]:
        """The targets about which people may be asked; none if one ended the wave: then all are rolled back."""
        return [] if self.ended_by else [one for one in self.targets.values() if one.is_inconclusive]

    @property
    def is_held(self) -> bool:
        """Whether a target was held before it began, and none ended the wave."""
        return not self.ended_by and any(one.is_held for one in self.targets.values())


class RollbackResult(PhaseResult):
    """How the rollback of one environment ended.

    Fields:
        environment: Which one.
        version: What serves then; None if nothing does or that is unknown.
        stays: Whether that is the version under release, since nothing ran there before.
    """

    environment: str
    version: str | None
    stays: bool = False


class Approval(BaseModel):
    """The approvals that a gate collected, to be verified again before the first change: the gate's name, and the signed proofs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gate: str = ""
    proofs: tuple[Proof, ...] = ()


def worst_of(found: Sequence[PhaseResult]) -> PhaseResult:
    """Fold results into one.

    Args:
        found: The results.

    Returns:
        The worst outcome, and the reasons of all that have it, or of all that had nothing to judge; nothing judged at all is `no_data`.
    """
    judged, rest = [one for one in found if one.judged], [one for one in found if not one.judged]
    why = "; ".join(dict.fromkeys(one.reason for one in rest))
    if not judged:
        return PhaseResult(outcome=Outcome.NO_DATA, reason=as_ending(why or "nothing was looked at"))
    outcome = worst([one.outcome for one in judged])
    if outcome is Outcome.PASSED:
        passes = checks_passed(len(judged))
        return PhaseResult(outcome=outcome, reason=as_ending(f"{passes}; not judged: {why}" if why else passes))
    return PhaseResult(outcome=outcome, reason=as_ending("; ".join(one.reason for one in found if one.outcome is outcome)))


def script_failed(error: ScriptFailed, environment: str) -> TargetResult:
    """Make the result of an environment whose script failed, about which people are asked."""
    known = {"lines": error.lines, "left": error.left, "host": error.host, "hosts": error.hosts}
    script = FailedScript(act=error.act, step=error.step, runs=error.runs, **known)
    reason = as_ending(f"{environment}: {error_text(error)}")
    return TargetResult(outcome=Outcome.ERROR, reason=reason, environment=environment, is_inconclusive=True, script=script)


def checks_passed(number: int) -> str:
    """Say in words that so many checks passed."""
    return "1 check passed" if number == 1 else f"all {number} checks passed"


def unjudged(reason: str) -> PhaseResult:
    """Say that there was nothing to judge, which stops no release."""
    return PhaseResult(outcome=Outcome.PASSED, reason=as_ending(reason), judged=False)


def passed(reason: str) -> PhaseResult:
    """Make a result that passed."""
    return PhaseResult(outcome=Outcome.PASSED, reason=as_ending(reason))


def failed(reason: str) -> PhaseResult:
    """Make a result that failed."""
    return PhaseResult(outcome=Outcome.FAILED, reason=as_ending(reason))
