"""Migrations: which run when, and which of those that ran a rollback would cross."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from tasks.rules.plan.migrations import Migration, When
from tasks.rules.plan.targets import PRODUCTION, section_of
from tasks.rules.record.entries import Entry, moment, select

NOT_RUN = "not run"
RESTORED = "restored"


class Contract(NamedTuple):
    """A contract migration that was begun, as a record says.

    Fields:
        name: Its name in the plan.
        environment: Where; empty if its record cannot be read, which means everywhere.
        version: The version whose release ran it; empty if its record cannot be read.
        run: That release's flow run id.
        at: When it was begun; None if its record cannot be read, which counts as just now.
        block: The platform block, as `type/name`; empty if that is not known, which means any.
        identity: What that pointed to, see `blocks.platform.Identified`; empty if it did not say.
        plan: The plan file of that release; empty if that is not known.
    """

    name: str
    environment: str
    version: str
    run: str
    at: datetime | None
    block: str = ""
    identity: str = ""
    plan: str = ""


class Here(NamedTuple):
    """Where a rollback is.

    Fields:
        environment: The environment.
        block: Its platform block.
        identity: What that points to; "" if it does not say.
        plans: The plan files by which releases acted there; none if that is not known.
    """

    environment: str
    block: str = ""
    identity: str = ""
    plans: tuple[str, ...] = ()


def due(migrations: Sequence[Migration], *, environment: str, when: When | None = None) -> list[Migration]:
    """Choose the migrations of an environment, and of a moment if one is named, in the plan's order; `production/eu` is production."""
    return [one for one in migrations if section_of(environment) in one.environments and when in {None, one.when}]


def contracts_in(entries: Sequence[Entry], *, run: str) -> list[Contract]:
    """Read from a record which contracts were begun; one that failed may have changed something, too, and is one of them.

    Args:
        entries: The record of a run that is known to speak of contracts; if it does not, it cannot be trusted, and may have begun any.
        run: The run, which is kept beside the key as one with contracts; tags that anyone with the API's password writes make none.
    """
    recorded = select(entries, kind="migration")
    if not recorded:
        return [Contract(run, "", "", run, None)]
    opened = next(iter(select(entries, kind="opened")), None)
    plan = str(opened.evidence.get("plan") or "") if opened else ""
    last: dict[tuple[str, str], Entry] = {}
    for entry in recorded:
        if entry.evidence.get("compatibility") == "contract":
            last[entry.environment, str(entry.evidence["migration"])] = entry
    return [
        Contract(name, where, str(entry.evidence["version"]), run, moment(entry), *place_in(entry), plan)
        for (where, name), entry in last.items()
        if entry.evidence.get("state") != NOT_RUN
    ]


def place_in(entry: Entry) -> tuple[str, str]:
    """Read from an entry the platform block through which it acted, and what that pointed to; "" for what it does not say."""
    return str(entry.evidence.get("block", "")), str(entry.evidence.get("identity", ""))


def restored_in(entries: Iterable[Entry]) -> set[tuple[str, str, str]]:
    """Read from a rollback's record what a person said to have restored by hand: release, environment, name."""
    return {
        (str(one["run"]), str(one["environment"]), str(one["name"]))
        for entry in select(entries, kind="migration", name=RESTORED)
        for one in entry.evidence["restored"]
    }


def crossed(
    contracts: Iterable[Contract], restored: set[tuple[str, str, str]], *, here: Here, target: str, target_since: datetime | None
) -> list[Contract]:
    """Choose the contracts that a rollback to a version would cross.

    Args:
        contracts: All that were begun for this service.
        restored: What was restored by hand since, as `restored_in` gives it.
        here: Where the rollback is.
        target: The version that would serve.
        target_since: When it was last promoted here by a run that deployed it; None if that is not known.

    Returns:
        Those that other versions brought after it: a version works with its own contracts, and with those that were there when it came.
    """
    return [
        one
        for one in contracts
        if is_same_place(one.environment, here.environment)
        and is_same_platform(one, here)
        and one.version != target
        and (target_since is None or one.at is None or one.at > target_since)
        and not {(one.run, place, one.name) for place in (one.environment, here.environment if one.environment else "")} & restored
    ]


def is_same_place(one: str, other: str) -> bool:
    """Say whether two environments may share data: the same, or one a target of the other; "" is everywhere.

    A plan whose production was one place may have several targets by now, or the other way round.
    """
    return not one or one == other or (PRODUCTION in {one, other} and section_of(one) == section_of(other))


def is_same_platform(one: Contract, here: Here) -> bool:
    """Say whether a contract began on the platform of a rollback: by its block, by what that points to, or by the plan file.

    A block may be renamed and moved at once, as to another cluster in front of the same database: then a release by the same file began it.
    Whoever may write plans can name the same service in one of their own, with a platform of their own, and a service may have a plan for
    each region: that is another production. What is not known is the same.
    """
    if not one.block or not here.block or one.block == here.block or one.identity == here.identity != "":
        return True
    return not one.plan or not here.plans or one.plan in here.plans


def not_acknowledged(found: Iterable[Contract], restored: Iterable[str]) -> list[Contract]:
    """Leave out what a person named as restored by hand."""
    named = set(restored)
    return [one for one in found if one.name not in named]


def refusal(found: Sequence[Contract], *, target: str, environment: str) -> str:
    """Say why a rollback is refused, and the ways out."""
    names = ", ".join(dict.fromkeys(one.name for one in found))
    since = ", ".join(dict.fromkeys(one.version or "a release whose record cannot be read" for one in found))
    flags = " ".join(f"--restored {name}" for name in dict.fromkeys(one.name for one in found))
    return (
        f"a rollback to {target} in {environment} would cross the contract migration(s) {names}, applied by {since}, "
        f"with which {target} does not work; nothing was moved. Fix forward: release a version that works with them. "
        f"Or restore by hand what they removed, then say so by name: `shipway rollback … {flags}`"
    )
