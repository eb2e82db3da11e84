"""Rehearsal: that a rollback works, shown in staging by a release that is made to fail; and whether it counts for a place of production.

It counts for the very method alone by which production is rolled back: the same kind of platform, strategy, shares and programs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from blocks.errors import BadInput
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.plan.plan import Plan, Step
from tasks.rules.plan.targets import Place
from tasks.rules.record.canonical import fingerprint
from tasks.rules.record.markdown import plain
from tasks.rules.windows.words import moment_in_words

REHEARSE = "rehearse"  # the flow
REHEARSED_FAILURE = "rehearsed failure"  # the name of the verdict that is made to fail
SKEW = timedelta(minutes=1)  # of the clocks of two machines
COMMAND = "`shipway rehearse PLAN`"


class Method(BaseModel):
    """By what an environment is rolled back.

    Fields:
        kind: The type of its platform block.
        strategy: Its rollout strategy; "" if the platform has one way only.
        through: On Kubernetes, the kind of its workload, and `HTTPRoute` if that splits the requests.
        shares: The shares of the traffic that a version gets there, in percent.
        programs: Of a platform that runs programs, by the block's field, the programs' hashes, or a name, and the hash of all words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    strategy: str = ""
    through: tuple[str, ...] = ()
    shares: tuple[int, ...] = ()
    programs: dict[str, tuple[str, ...]] = {}

    @property
    def name(self) -> str:
        """A name of all of it: another method has another one."""
        return fingerprint(self.model_dump(mode="json"))


class Rehearsal(BaseModel):
    """What a rehearsal showed.

    Fields:
        service: The service.
        environment: The place of production whose steps were taken.
        staging: The platform block on which it was done, `type/name`.
        method: By what it was rolled back.
        version: The version that was made to fail.
        baseline: The version that served before.
        step: At which share of the traffic it was made to fail, in percent.
        at: When it was over.
        seconds: How long the rollback took, with its verification.
        outcome: `passed` if what served before serves again, and is well.
        reason: Why, in words.
        run: Its flow run id.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: str
    environment: str
    staging: str
    method: Method
    version: str
    baseline: str
    step: Annotated[int, Field(ge=1, le=100)]
    at: AwareDatetime
    seconds: Annotated[float, Field(ge=0)]
    outcome: Literal["passed", "failed"]
    reason: str
    run: str


def rehearsed_plan(plan: Plan, *, strategy: str | None = None) -> Plan:
    """Give a plan as a rehearsal goes by it: nothing stays in staging, no run is ended for it, and nothing is migrated or documented.

    Args:
        plan: The plan; one that was given by this stays as it is.
        strategy: The strategy of production's platform, which staging's has then, too; None leaves it.
    """
    staging = plan.staging.model_copy(update={"keep_on_failure": False, **({"strategy": strategy} if strategy else {})})
    parts = {name: Plan.model_fields[name].get_default(call_default_factory=True) for name in ("migrations", "documentation", "observe")}
    return plan.model_copy(update={"staging": staging, "on_conflict": "refuse", **parts})


def steps_until(place: Place, fail_at: int | None) -> tuple[Step, ...]:
    """Choose the steps of a place up to the one that is made to fail; the last one if none is named.

    Raises:
        BadInput: There is no such step.
    """
    shares = [step.percent for step in place.steps]
    last = shares[-1] if fail_at is None else fail_at
    if last not in shares:
        fix = f"Name one of its steps by its share: {', '.join(map(str, shares))}."
        raise BadInput(f"{place.environment} has no step of {last} %", field="fail_at", fix=fix)
    return place.steps[: shares.index(last) + 1]


def differences_of(production: Method, staging: Method) -> list[str]:
    """Say in what a method of staging differs from that of production, so that a rehearsal of it would show nothing."""
    found = []
    if production.kind != staging.kind:
        found.append(f"the platform of production is of the type {production.kind}, that of staging {staging.kind}")
    elif production.strategy != staging.strategy:
        found.append(f"the strategy of production is {production.strategy or 'none'}, that of staging {staging.strategy or 'none'}")
    elif production.through != staging.through:
        found.append(f"production is a {' with an '.join(production.through)}, staging a {' with an '.join(staging.through)}")
    names = sorted({*production.programs, *staging.programs})
    if others := [name for name in names if production.programs.get(name) != staging.programs.get(name)]:
        found.append(f"production runs other programs or words than staging for {', '.join(others)}")
    return found


def fault_of_staging(position: Mapping[str, object], *, version: str, owner: str, is_baseline: bool) -> str:
    """Say why nothing can be rehearsed in staging as it is; "" if it can.

    Args:
        position: What it runs.
        version: The version that is to be made to fail; "" if none is known.
        owner: The rehearsal's run.
        is_baseline: Whether that version is what serves.
    """
    baseline, canary, holder = position["baseline"], position["canary"], position["owner"]
    ready = position["ready"]
    if baseline is None:
        return "nothing serves in staging, so there is nothing to roll back to: deploy a version there first with `shipway run staging`"
    if holder not in {None, owner}:
        return f"staging is busy: the run {holder} holds it; wait for its end"
    if canary is not None:
        return f"staging is busy: {canary} is being rolled out beside {baseline}; wait for its end, or roll it back"
    if isinstance(ready, Mapping) and not ready.get(baseline, False):
        return f"{baseline}, which serves in staging, is not ready, so it could not be seen whether it serves again; repair it first"
    if not version:
        return f"no version is known in staging that ran before {baseline}: name one with `--version VERSION`"
    if is_baseline:
        return f"{version} is what serves in staging: name another version with `--version VERSION`"
    return ""


def latest_first(found: Sequence[Rehearsal]) -> list[Rehearsal]:
    """Sort rehearsals, the newest first."""
    return sorted(found, key=lambda one: one.at, reverse=True)


def judge_rehearsal(
    found: Sequence[Rehearsal], *, place: Place, staging: str, method: Method, within_days: float, now: datetime
) -> tuple[Outcome, str]:
    """Judge whether a rollback of a place of production was rehearsed lately.

    Args:
        found: What is kept of the service's rehearsals.
        place: The place.
        staging: The platform block of the plan's staging.
        method: By what the place is rolled back now.
        within_days: How old a rehearsal may be.
        now: Now.

    Returns:
        `passed` if the newest rehearsal of this very method is young enough and its rollback worked; `failed` if it did not work;
        `no_data` without one. With a reason that names the command.
    """
    fix = f"rehearse it with {COMMAND}"
    known = latest_first([one for one in found if one.staging == staging and one.method == method])
    if not known:
        others = f"; the newest one, of {moment_in_words(latest_first(found)[0].at)}, was of another method" if found else ""
        return Outcome.NO_DATA, f"the rollback of {place.environment} was never rehearsed in {staging}{others}: {fix}"
    last = known[0]
    when = moment_in_words(last.at)
    if last.at - now > SKEW:
        return Outcome.NO_DATA, f"the rehearsal of {when} lies in the future, so its age is not known: set the clock, then {fix}"
    if last.outcome != "passed":
        return Outcome.FAILED, f"the rollback did not work in the rehearsal of {when}: {last.reason}. Repair it, then {fix}"
    if now - last.at > timedelta(days=within_days):
        age = f"{(now - last.at) / timedelta(days=1):.3g} days old, and may be {within_days:g}"
        return Outcome.NO_DATA, f"the rehearsal of {when} is {age}: {fix}"
    return Outcome.PASSED, f"a rollback from {last.version} was rehearsed {when} and took {last.seconds:.3g} s"


def page_of(found: Rehearsal) -> str:
    """Write what a rehearsal showed, for people.

    Returns:
        Markdown in which nothing of a version's name or of a reason can act.
    """
    verdict = "The rollback works." if found.outcome == "passed" else "**The rollback does not work.**"
    how = f"`{found.method.kind}`" + (f", strategy {plain(found.method.strategy)}" if found.method.strategy else "")
    lines = [
        f"# Rehearsed rollback of {plain(found.service)}",
        f"{verdict} {plain(found.reason)}",
        f"- When: {moment_in_words(found.at)}",
        f"- Where: {plain(found.staging)}, by the steps of {plain(found.environment)}; production was not changed",
        f"- What: {plain(found.version)} was given traffic and made to fail at {found.step} %; {plain(found.baseline)} served before",
        f"- How long the rollback took, with its verification: {found.seconds:.3g} s",
        f"- Method: {how}. It counts for production while platform type, strategy, shares and programs are the same",
        f"- Run: {plain(found.run)}",
    ]
    return "\n\n".join([*lines[:2], "\n".join(lines[2:])]) + "\n"
