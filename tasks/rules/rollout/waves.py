"""What becomes of production's targets if one of them fails, or if all are rolled back: decided from what is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from tasks.rules.plan.plan import Plan, Waves
from tasks.rules.plan.targets import STAGING, is_production, production_of, within
from tasks.rules.record.entries import Entry, select
from tasks.rules.rollout.steps import WITHOUT_CANARY
from tasks.rules.rollout.version_name import VersionName, names_of

Effect = Literal["prepare", "promote"]


def staying(plan: Plan, completed: Collection[str]) -> tuple[str, ...]:
    """Name the targets that keep the new version although the release is rolled back.

    Args:
        plan: The plan.
        completed: The environments in which the version was verified and promoted.

    Returns:
        The completed ones where the plan says `keep` and the wave stopped; none where every target was completed: then what fails
        is the look at the whole, as with one production.
    """
    section, names = plan.production, [place.environment for place in production_of(plan)]
    if not isinstance(section, Waves) or section.on_wave_failure != "keep" or set(names) <= set(completed):
        return ()
    return tuple(name for name in names if name in completed)


def reached(entries: list[Entry], effect: Effect, environments: Collection[str]) -> list[str]:
    """Name the environments in which an effect is recorded, in whichever round: `prepare` started the canary, `promote` completed it."""
    return [environment for environment in environments if select(entries, kind="effect", environment=environment, name=effect)]


def deployed_to(plan: Plan, asked: Mapping[str, object]) -> list[str]:
    """Name the environments of production to which a run that ends as deployed has deployed.

    Args:
        plan: The plan.
        asked: What the run was asked for, as its record was opened; `production` of one target leaves the others as they are.

    Returns:
        Them; all that the plan has, if it does not have the one that was asked for.
    """
    if asked.get("flow") == STAGING:
        return []
    names = [place.environment for place in production_of(plan)]
    return [name for name in names if name == asked.get("environment")] or names


def has_acted(entries: Sequence[Entry], environment: str, *, version: str) -> bool:
    """Say whether a release brought its version to an environment, by its record: not where it found it there as what serves."""
    effects = select(entries, kind="effect", environment=environment)
    prepared = [entry for entry in effects if entry.name == "prepare"]
    if not prepared and select(entries, kind="note", environment=environment, name="already"):
        return False  # what it found there it promoted all the same
    return any(not _found_there(entry, version) for entry in prepared or effects)


def _found_there(entry: Entry, version: str) -> bool:
    position = entry.evidence.get("position") if entry.name == "prepare" else entry.evidence.get("before")
    return isinstance(position, dict) and (position.get("baseline"), position.get("canary")) == (version, None)


def has_canary(entries: Sequence[Entry]) -> bool:
    """Say if a release has a canary in production, by its record: what it did last to one of its environments is not that it promoted."""
    last = {entry.environment: entry.name for entry in entries if entry.kind == "effect" and is_production(entry.environment)}
    return any(name != "promote" for name in last.values())


def left_alone(
    plan: Plan, version: str, *, moved: Collection[str], stays: Collection[str], begun: Collection[str], before: Mapping[str, Any]
) -> dict[str, str]:
    """Say of each target that a release did not roll back what it ended on.

    Args:
        plan: The plan.
        version: The version under release.
        moved: The environments that were rolled back, or should have been.
        stays: Those that keep the new version.
        begun: Those to which the version had been brought.
        before: The version that ran before, by environment, as far as known.

    Returns:
        A sentence by environment; nothing where production is one.
    """
    said: dict[str, str] = {}
    for place in production_of(plan):
        name = place.environment
        if not within(name) or name in moved:
            continue
        if name in stays:
            said[name] = f"{name} stays on {version}"
        elif name in begun:
            said[name] = f"{name} was taken over by another run"
        else:
            said[name] = f"{name} was not touched" + (f" and runs {before[name] or 'nothing'}" if name in before else "")
    return said


class Heads(NamedTuple):
    """The versions at the head of all targets.

    Fields:
        all: Each of them.
        left: Those that are not the version to return to.
        newest: Of these the ones that came after what the other targets run: no target has them as the version before.
        earlier: What is not one of these, or ran before one.
    """

    all: set[str]
    left: set[str]
    newest: set[str]
    earlier: set[str | None]


def _head(position: Mapping[str, Any]) -> str:
    return str(position["canary"] or position["baseline"] or "")


def _heads(positions: Mapping[str, Mapping[str, Any]], *, to: str) -> Heads:
    heads = {head for one in positions.values() if (head := _head(one))}
    earlier = {one["previous"] for one in positions.values()} | {one["baseline"] for one in positions.values() if one["canary"]}
    left = {head for head in heads if to not in names_of(head)} or heads - {to}
    newest = left if len(heads) == 1 else {head for head in left if not earlier.intersection(names_of(head))}
    return Heads(heads, left, newest, earlier | heads - newest)


def version_to_leave(positions: Mapping[str, Mapping[str, Any]], *, to: str, silent: Collection[str] = ()) -> str | None:
    """Find the one bad version of all targets, if they run different ones; by which name each leaves it says `left_by_target`.

    Args:
        positions: What each target runs: `baseline`, `canary`, `previous`.
        to: The version to return to, or `previous`.
        silent: Targets that did not say what they run. When they answer they must not leave a version that was not meant, so
            the one that is seen is named then, though all that is seen is the same.

    Returns:
        The version, by its plain name if targets know it by several; "" if all run the same, so that each can judge for itself; None if
        it cannot be known.
    """
    heads, left, newest, earlier = _heads(positions, to=to)
    if silent and not heads:
        return None
    if len(heads) < 2 and not silent:  # noqa: PLR2004 - one version leaves nothing to choose
        return ""
    if not newest and len(heads) == 1:
        return ""
    sources, others = ({VersionName.of(name).source for name in names if name} for names in (newest, earlier))
    if len(sources) == 1 and not sources & others:
        return sources.pop()  # by that a silent target knows it, also where a ConfigMap or Secret changed since
    if len(newest) == 1:
        return newest.pop()
    return None if to == "previous" else min(left)


def left_by_target(positions: Mapping[str, Mapping[str, Any]], *, to: str) -> dict[str, str]:
    """Name what each target leaves as it is called there; "" for one that runs what ran before it elsewhere, which it keeps.

    Args:
        positions: As for `version_to_leave`, which found one.
        to: The version to return to, or `previous`: to that each goes that runs another one.
    """
    found = _heads(positions, to=to)
    leaving = found.newest if to == "previous" else found.left
    return {name: head if (head := _head(one)) in leaving else "" for name, one in positions.items()}


def versions_in_words(plan: Plan, current: Mapping[str, str | None]) -> str | None:
    """Say what production runs: one version, `1.0 in production/eu, 1.1 in production/us`, or None if nothing runs."""
    found = {place.environment: current.get(place.environment) for place in production_of(plan)}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ", ".join(f"{version or 'nothing'} in {name}" for name, version in found.items())


def earlier_in_words(plan: Plan, current: Mapping[str, str | None]) -> str:
    """Say to which version a rollback of production goes, and whether that still runs beside the new one or is deployed again."""
    replaced = [one.strategy == WITHOUT_CANARY for one in production_of(plan)]
    stays = "which is deployed again" if all(replaced) else f"which stays warm{' where it is not replaced' * any(replaced)}"
    later = "" if plan.rollback.to == "previous" else f" (once nothing is warm: {plan.rollback.to})"
    return f"{versions_in_words(plan, current) or 'the version that ran before'}, {stays}{later}"


def targets_in_words(entries: list[Entry]) -> str:
    """Say where a release is in its wave, from its record; "" if production is one, or nothing is known yet."""
    review = next(iter(select(entries, kind="review")), None)
    current = review.evidence.get("current") if review else None
    names = [name for name in current if within(name)] if isinstance(current, dict) else []
    back = {name for name in names if select(entries, kind="rollback", environment=name, name="done")}
    done, begun = set(reached(entries, "promote", names)), set(reached(entries, "prepare", names))
    states = {"rolled back": back, "done": done - back, "under way": begun - done - back, "to come": set(names) - begun - back}
    return "; ".join(f"{state}: {', '.join(sorted(chosen))}" for state, chosen in states.items() if chosen)
