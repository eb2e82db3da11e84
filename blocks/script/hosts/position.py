"""Rules of what hosts answer: where it puts the environment, and which hosts a script of ours acted on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from blocks.platform import Endpoints, Position
from blocks.processes import fill
from blocks.script.hosts.left_out import version_wanted
from blocks.script.hosts.names import read_name
from blocks.script.hosts.shares import reached
from blocks.script.words import Known, Running, position_of


class Answer(NamedTuple):
    """What one host answered.

    Fields:
        host: Its name.
        running: What its `status` printed; None if that is not known.
        fault: Why it is not known.
        touched: Whether a script ran there for the canary, and was not rolled back.
        may_pass: Whether the fault may pass, as of a connection.
        left_out: The version that it was left out of, "" if of none; what it runs is as a script left it.
    """

    host: str
    running: Running | None
    fault: str = ""
    touched: bool = False
    may_pass: bool = False
    left_out: str = ""


def left_now(known: Known, answers: Sequence[Answer]) -> tuple[str, ...]:
    """List the hosts that are left out of the canary, or of what serves if there is none: what they run and answer does not count."""
    return tuple(one.host for one in answers if one.left_out and one.left_out == version_wanted(known))


def counted(known: Known, answers: Sequence[Answer]) -> list[Answer]:
    """Leave the hosts out that are left out now."""
    left = left_now(known, answers)
    return [one for one in answers if one.host not in left]


def having(known: Known, answers: Sequence[Answer]) -> tuple[str, ...]:
    """List the hosts that run the canary; one of which it is not known does if a script acted there for it."""
    canary = known["canary"]
    return tuple(one.host for one in answers if canary is not None and one.left_out != canary and _has(canary, one))


def to_restore(known: Known, answers: Sequence[Answer]) -> tuple[str, ...]:
    """List the hosts that a rollback acts on: those that a script touched, whatever they answer, and those that run the canary."""
    runs = having(known, answers)
    return tuple(one.host for one in answers if one.touched or one.host in runs)


def unknown(answers: Sequence[Answer]) -> tuple[str, ...]:
    """List the hosts of which it is not known what they run."""
    return tuple(one.host for one in answers if one.running is None)


def position_of_hosts(
    known: Known, answers: Sequence[Answer], well: Collection[tuple[str, str]] = (), *, owner: str | None, generation: int
) -> Position:
    """Say where an environment stands by what its hosts answer, and by what was noted where they cannot say it.

    Args:
        known: What was noted for all of them.
        answers: One of each host, in the list's order.
        well: Each host with the version that its `verify` found well.
        owner: Who holds the lease.
        generation: The newest one.

    Returns:
        The position. A version is ready if every host that runs it is well and, of the baseline, if every host that does not run the
        canary runs it. A host that is left out counts for neither. What is not known, or not as it was noted, is in `trouble`,
        with the hosts' names. What others deployed is `instead` if it is the same on each host that answers.
    """
    canary, hosts = known["canary"], len(answers)
    left, answers = left_now(known, answers), counted(known, answers)
    baseline = known["baseline"] or (_most_common(answers) if canary is None else None)
    runs = having(known, answers)
    position = Position(
        baseline=baseline,
        canary=canary,
        percent=reached(len(runs), len(left), hosts),
        ready={},
        previous=known["previous"],
        owner=owner,
        generation=generation,
    )
    others = [one.host for one in answers if one.host not in runs and one.left_out != baseline]
    is_known = bool(runs) or not any(one.touched for one in answers)  # a script that failed half-way may have started it
    for version, wanted in ((baseline, others), (canary if is_known else None, runs)):
        if version is not None:
            position["ready"][version] = bool(wanted) and all((host, version) in well for host in wanted)
    if trouble := _trouble({**known, "baseline": baseline}, answers, is_noted=known["baseline"] is not None):
        position["trouble"] = trouble
    if other := _instead(known, answers):
        position["instead"] = other
    return position


def trouble_of_others(known: Known, answers: Sequence[Answer]) -> str:
    """Say what is wrong on hosts where no script acted for the canary; where one did and failed, it is for who may run it again."""
    others = [one for one in answers if not one.touched]
    return _trouble(known, others, is_noted=known["baseline"] is not None)


def of_others(answers: Sequence[Answer]) -> list[Answer]:
    """Leave out the hosts where a script of ours acted and `status` fails since: they are for who may run it again."""
    return [one for one in needed(answers) if one.running is not None or one.may_pass or not one.touched]


def needed(answers: Sequence[Answer]) -> list[Answer]:
    """Leave out the hosts that an earlier release left out and whose `status` fails since; one that does not answer is needed."""
    return [one for one in answers if one.running is not None or one.may_pass or not one.left_out]


def changes(answers: Sequence[Answer], version: str) -> list[str]:
    """Say which hosts would run another version than they do, those of one version in one line: `web-1, web-2: 1.0 → 1.1`."""
    found: dict[str, list[str]] = {}
    for one in answers:
        runs = one.running.serves if one.running is not None else "what is not known"
        if version not in {runs, one.left_out}:
            found.setdefault(runs or "nothing", []).append(one.host)
    return [f"{', '.join(hosts)}: {runs} → {version}" for runs, hosts in found.items()]


def left_in_words(answers: Sequence[Answer]) -> list[str]:
    """Say of each host that was left out of which version, and what there is on it: as a script left it."""
    return [f"{one.host} was left out of {one.left_out}: {_state(one)}" for one in answers if one.left_out]


def left_before(answers: Sequence[Answer], version: str) -> list[str]:
    """Say what a release of a version means for each host that was left out of an earlier one."""
    found: list[str] = []
    for one in answers:
        if one.left_out == version:
            found.append(f"{one.host} stays left out of {version}, as a release of the same version runs no script there: {_state(one)}")
        elif one.left_out:
            needs = ", and without an answer no release begins" if one.may_pass else ""
            found.append(f"{one.host} was left out of {one.left_out}, and gets {version} in its turn: {_state(one)}{needs}")
    return found


def _state(answer: Answer) -> str:
    return answer.fault if answer.running is None else f"`status` prints `{answer.running.serves or '-'}`"


def addresses(position: Position, answers: Sequence[Answer], *, public: str, of_host: str) -> Endpoints:
    """Say where each version is reached: on the first host that runs it, or where users reach the service, if it runs alone.

    Args:
        position: Where the environment stands.
        answers: What its hosts answered.
        public: Where users reach the service.
        of_host: Where it is reached on one host, with `{host}` in it; "" if that is not known.
    """
    found = Endpoints(public=public)
    for answer in answers:
        version = answer.running.serves if answer.running is not None and not answer.left_out else None
        url = fill(of_host, {"host": read_name(answer.host).host}) if of_host else public
        if version is not None and version == position["canary"]:
            found.setdefault("canary", url)
        elif version is not None and version == position["baseline"]:
            found.setdefault("baseline", url)
    return found if of_host or not {"baseline", "canary"} <= set(found) else Endpoints(public=public)


def _has(canary: str, answer: Answer) -> bool:
    return answer.touched if answer.running is None else answer.running.serves == canary


def _most_common(answers: Sequence[Answer]) -> str | None:
    """Give the version that most hosts run, the first one of several, if nothing was ever noted."""
    found = Counter(one.running.serves for one in answers if one.running is not None and one.running.serves is not None)
    return found.most_common(1)[0][0] if found else None


def _instead(known: Known, answers: Sequence[Answer]) -> str:
    """Name what every host that answers runs instead of the noted baseline, without a script of ours; "" if they do not agree."""
    seen = (position_of(known, one.running, splits=False, owner=None, generation=0) for one in answers if one.running is not None)
    named = {position.get("instead", "") for position in seen}
    return named.pop() if len(named) == 1 else ""


def _trouble(known: Known, answers: Sequence[Answer], *, is_noted: bool) -> str:
    """Say what is not known, or not as it was noted; hosts with the same trouble are named together."""
    found: dict[str, list[str]] = {}
    for one in answers:
        if why := _trouble_of(known, one, is_noted=is_noted):
            found.setdefault(why, []).append(one.host)
    return ". ".join(f"{', '.join(hosts)}: {why}" for why, hosts in found.items())


def _trouble_of(known: Known, answer: Answer, *, is_noted: bool) -> str:
    if answer.left_out and not answer.touched and (answer.running is not None or not answer.may_pass):
        return ""  # as the script left it that failed there; the next one has yet to come
    if answer.running is None:
        return f"what runs there is not known: {answer.fault}"
    if not is_noted and known["canary"] is None and answer.running.serves != known["baseline"]:
        return f"`status` prints `{answer.running.serves or '-'}`, but other hosts run {known['baseline']}. Let all run one version first"
    mine = Known(**{**known, "touched": answer.touched})
    return position_of(mine, answer.running, splits=False, owner=None, generation=0).get("trouble", "")
