"""By which name an environment knows the bad version, and what is not meant by it, although it has the same plain name.

A name that a person or a release gives means any configuration of the version but the one that the release replaces, or that serves
since it was left. A name that was found at the head of what targets run means exactly what runs there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from tasks.rules.rollout.left import Left, serves_since
from tasks.rules.rollout.rollback import RollbackChoice
from tasks.rules.rollout.version_name import VersionName, names_of
from tasks.rules.rollout.waves import left_by_target


class BadName(NamedTuple):
    """The bad version in one environment.

    Fields:
        bad: Its name there; "" where the one of all counts.
        others: What is not meant by that name.
        is_exact: Whether it means the very name alone: what runs there is another version, or the configuration that a release replaces.
    """

    bad: str = ""
    others: tuple[str, ...] = ()
    is_exact: bool = False

    def not_meant(self, position: Mapping[str, Any]) -> set[str]:
        """Name what is not meant, in an environment that runs this."""
        runs = (position["baseline"], position["canary"]) if self.is_exact else ()
        return {name for name in (*self.others, *runs) if name}


def stays_beside(position: Mapping[str, Any], left: Left | None, *, bad: str, at: datetime) -> tuple[str, ...]:
    """Name what is not meant by the name of a version that the last rollback left: what serves since, until an hour after that was over.

    Args:
        position: What the environment runs.
        left: What the last rollback left there.
        bad: The version, as a person or a release names it.
        at: Now.
    """
    if left is None or not serves_since(position, left, at=at) or bad not in names_of(left.version):
        return ()
    return tuple(dict.fromkeys((left.serves, position["baseline"])))


def name_given(position: Mapping[str, Any], left: Left | None, *, bad: str, at: datetime, is_exact: bool = False) -> BadName:
    """Give the name of a bad version that a person or a release names, in one environment.

    If what serves since it was left has that very name by now, as a ConfigMap or Secret was put back, the configuration that was left is
    meant.

    Args:
        position: What the environment runs.
        left: What the last rollback left there.
        bad: The name.
        at: Now.
        is_exact: As in `BadName`.
    """
    beside = stays_beside(position, left, bad=bad, at=at)
    name = left.whole if left is not None and beside and position["baseline"] == bad else bad
    return BadName(name, beside, is_exact=is_exact)


def names_found(
    positions: Mapping[str, Mapping[str, Any]], meant: Mapping[str, Mapping[str, Any]], lefts: Mapping[str, Left], *, common: str, to: str
) -> dict[str, BadName]:
    """Give by environment the name of a bad version that no one named: what runs there is compared with what was found there.

    Args:
        positions: What each runs.
        meant: The same as it is meant, see `all_as_meant`.
        lefts: What the last rollback left in each, as far as known.
        common: The version that all leave, see `version_to_leave`; "" if all run the same.
        to: The version to return to, or `previous`.
    """
    heads = left_by_target(meant, to=to) if common else dict.fromkeys(positions, "")
    return {
        name: BadName(head, (lefts[name].serves,) if meant[name] is not positions[name] else (), is_exact=bool(common) and not head)
        for name, head in heads.items()
    }


def name_if_silent(common: str, meant: Mapping[str, Mapping[str, Any]]) -> BadName | None:
    """Give the name for an environment that did not answer; None if what is not meant by it is looked for once it does.

    A plain name that was made of names with hashes is each configuration of the version.
    """
    runs = {name for one in meant.values() for name in (one["baseline"], one["canary"])}
    return BadName(common) if common and common not in runs else None


def names_given(
    positions: Mapping[str, Mapping[str, Any]],
    lefts: Mapping[str, Left],
    *,
    bad: str,
    at: datetime,
    unreached: Collection[str] = (),
    silent: Collection[str] = (),
) -> dict[str, BadName]:
    """Give by environment the name of a bad version that a person named, or the release that is rolled back.

    If the name can only mean another configuration of the version in one of them, it means each configuration in all.

    Args:
        positions: What each runs.
        lefts: What the last rollback left in each, as far as known.
        bad: The name.
        at: Now.
        unreached: Where that release did nothing: what serves there is what it was to replace, unless it has the very name.
        silent: What did not answer. What is not meant there is looked for once it does, unless the name means each configuration.
    """
    found = {name: BadName(bad, is_exact=True) for name in unreached}
    for name, one in positions.items():
        found[name] = name_given(one, lefts.get(name), bad=bad, at=at, is_exact=name in unreached)
    if not any(_is_another_configuration(one, found[name]) for name, one in positions.items()):
        return found
    return {name: one if name in unreached else BadName(bad) for name, one in (dict.fromkeys(silent, BadName(bad)) | found).items()}


def _is_another_configuration(position: Mapping[str, Any], name: BadName) -> bool:
    runs = {one for one in (position["baseline"], position["canary"]) if one}
    others = runs - name.not_meant(position)
    return name.bad not in runs and any(VersionName.of(one).source == name.bad for one in others)


def serves_on(choices: Mapping[str, tuple[RollbackChoice, str | None]], *, bad: str) -> dict[str, str]:
    """Name by environment what serves on by another name of the bad version, while other ones left it in each configuration.

    Args:
        choices: What was chosen in each environment, and its baseline then.
        bad: The version, as all know it.
    """
    if not any(way.kind in {"abort", "redeploy"} and VersionName.of(way.version or "").source != bad for way, _ in choices.values()):
        return {}
    serving = {name: runs for name, (way, runs) in choices.items() if way.kind == "nothing" and runs}
    return {name: runs for name, runs in serving.items() if VersionName.of(runs).source == bad}
