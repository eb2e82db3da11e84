"""What an earlier rollback left in an environment: the next one is still about that, and does not bring it back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from tasks.rules.rollout.rollback import RollbackChoice, version_meant
from tasks.rules.rollout.version_name import VersionName, is_alike, is_known_as, is_same, may_be, named_there, with_configuration
from tasks.rules.rollout.waves import version_to_leave

PROMOTION = "promotion"  # as in `blocks.platform`
PREVIOUS = "previous"  # what a rollback returns to if it names no version
TWICE = timedelta(hours=1)  # within it a rollback that names no version is taken for the same one, asked for again
SKEW = timedelta(minutes=1)  # of the clocks of two machines
MOST_BROUGHT = 20
P = TypeVar("P", bound=Mapping[str, Any])


class Left(NamedTuple):
    """What a rollback left.

    Fields:
        version: The version; "" if it is not known.
        serves: The one that serves instead.
        run: The rollback's run, or that of the release which was rolled back.
        at: When it chose that (UTC).
        over: When it was over there.
        is_open: Whether the run's record is open.
        brought: The versions that rollbacks brought back there since a release was promoted last.
        is_released: Whether a release began to prepare a version there since.
        configuration: The hash of the configuration that a plain name meant there then; "" if that is not known.
    """

    version: str
    serves: str
    run: str
    at: datetime | None = None
    over: datetime | None = None
    is_open: bool = False
    brought: tuple[str, ...] = ()
    is_released: bool = False
    configuration: str = ""

    @property
    def whole(self) -> str:
        """The version with the hash of its configuration, as far as known, if what serves differs in that alone."""
        is_alike = VersionName.of(self.version).source == VersionName.of(self.serves).source
        return with_configuration(self.version, self.configuration) if is_alike else self.version

    def is_renamed(self, name: str, *, present: str) -> bool:
        """Say whether the plain name of the version is that of another configuration by now, as a ConfigMap or Secret was put back.

        Args:
            name: The name, as what runs is called.
            present: What a plain name means there now; "" if it is not known.
        """
        return bool(present) and name == self.version != self.whole != with_configuration(name, present)

    @property
    def all_brought(self) -> tuple[str, ...]:
        """The version that it was to bring, and what rollbacks before it were."""
        return self.serves, *self.brought

    def __str__(self) -> str:
        """Say it: `1.9 serves since the rollback RUN of 2026-11-30 03:10 UTC, which left 2.0`."""
        when = f" of {self.at:%Y-%m-%d %H:%M} UTC" if self.at else ""
        return f"{self.serves} serves since the rollback {self.run}{when}, which left {self.version}"


def is_under_way(position: Mapping[str, Any], left: Left | None) -> bool:
    """Say whether a rollback started an earlier version beside the one that it leaves, and is not over, or ended there.

    It owns the environment then, or no one does if it ended and no release began there since: a release of that version, which began
    after a rollback to it had failed, looks the same otherwise. What an earlier rollback brought, and this one was to replace, counts.
    """
    if left is None or position["owner"] not in {left.run, None} or (left.is_released and position["owner"] is None):
        return False
    present = position.get("configuration", "")
    is_left = is_same(position["baseline"], left.version, present=present)
    return is_left and any(is_known_as(position["canary"], one, present=present) for one in left.all_brought)


def to_go_on(position: Mapping[str, Any], left: Left, *, to: str, bad: str) -> str:
    """Say which version a rollback is to return to where another one is under way, or ended half-way: the one that it was to bring.

    Else it would be what ran before, or the plan's, and what has requests already would give them to the version that was left first.

    Args:
        position: What the environment runs.
        left: What the rollback left there that is under way.
        to: The version that was asked for, or `previous`.
        bad: The version to get rid of; "" for the newest there. One who names what was brought is not about going on with it.
    """
    baseline, canary, present = position["baseline"], position["canary"], position.get("configuration", "")
    if to != PREVIOUS or (bad and named_there(bad, (baseline, canary), present=present) == canary):
        return to
    return str(canary) if is_known_as(canary, left.serves, present=present) else left.serves


def is_half_done(position: Mapping[str, Any], left: Left | None, *, version: str, is_left: bool, in_place: bool) -> bool:
    """Say whether a rollback gave requests to an earlier version and did not end: what a release does next would give them back.

    Args:
        position: What an environment runs.
        left: What the last rollback left there; None if that is not known.
        version: The version under release, whose own canary is not a rollback's.
        is_left: Whether any rollback left the version that is the baseline still.
        in_place: Whether a version replaces the baseline in its place.
    """
    if not may_have_requests(position, in_place=in_place):
        return False
    baseline, canary = position["baseline"], position["canary"]
    brings = left is not None and not left.is_released and any(is_alike(canary, one, besides=left.version) for one in left.all_brought)
    if left is not None and brings and is_alike(baseline, left.version, besides=left.serves):
        return True
    return is_left and not is_alike(canary, version)


def may_have_requests(position: Mapping[str, Any], *, in_place: bool) -> bool:
    """Say whether a canary has requests, or may have.

    What replaces the baseline in its place may have ended half-way: the canary may be up then, and not yet be called what serves. One
    that never came up there has none, whatever share was asked for.
    """
    baseline, canary, ready = position["baseline"], position["canary"], position["ready"]
    if canary is None:
        return False
    if position.get("under_way") == PROMOTION or position.get("trouble"):
        return True
    if position.get("idle"):
        return False
    return position["percent"] > 0 or (in_place and not ready.get(baseline, False) and ready.get(canary, True))


def is_of_another(position: Mapping[str, Any], *, version: str) -> bool:
    """Say whether an environment has a canary, and neither that nor what serves is a version: its release did nothing there yet."""
    canary = position["canary"]
    return canary is not None and not is_alike(canary, version) and not is_alike(position["baseline"], version)


def stays_after_all(position: Mapping[str, Any], left: Left, *, in_place: bool) -> bool:
    """Say whether the version that a rollback was to leave serves on alone, as what was started beside it did not come up.

    A promotion that was begun has given all requests to the other version, which is the baseline by now.
    """
    return _is_left(position, left) and not may_have_requests(position, in_place=in_place)


def _is_left(position: Mapping[str, Any], left: Left) -> bool:
    baseline, present = position["baseline"], position.get("configuration", "")
    return bool(baseline == left.version and not left.is_renamed(left.version, present=present))


def as_before(position: P, left: Left, *, by: str, owners: Mapping[str, Any], environment: str) -> P:
    """Give a position with the owner that the environment had before a rollback took it over.

    Args:
        position: What it runs.
        left: What the last rollback left there, which counts as under way if the owner is not known, unless a release began since.
        by: The rollback that asks.
        owners: Who owned which environment when that began, as far as they answered.
        environment: Which one it is.
    """
    if position["owner"] != by:
        return position
    owner = owners.get(environment, by)
    unknown = None if left.is_released else left.run
    found: Any = {**position, "owner": unknown if owner == by else owner}
    return found  # type: ignore[no-any-return]


def serves_since(position: Mapping[str, Any], left: Left | None, *, at: datetime) -> bool:
    """Say whether what a rollback brought serves alone, and that is not over, or was within the last hour: later it may be bad itself.

    Of one that did not come to its end there, as it failed, the hour runs from its choice; one that is over there may be open for other
    environments. A time that is ahead was written before the clock was set back: how long ago that was is not known.
    """
    if left is None or left.at is None or position["canary"] is not None:
        return False
    if not may_be(position["baseline"], left.serves) or _is_left(position, left):
        return False
    return (left.is_open and left.over is None) or -SKEW <= at - (left.over or left.at) <= TWICE


def serves_still(baseline: str | None, version: str, left: Left | None, *, since: datetime) -> bool:
    """Say whether a version serves since a moment, whatever its configuration is by now; not if a rollback brought an earlier one back.

    Args:
        baseline: What serves, as the environment calls it now.
        version: The version, as it was called then.
        left: What the last rollback left there.
        since: The moment (UTC).
    """
    is_back = left is not None and is_alike(left.version, version) and baseline != left.version and may_be(baseline, left.serves)
    return is_alike(baseline, version) and not (is_back and left is not None and left.at is not None and left.at > since)


def brought_since(baseline: str | None, left: Left | None, *, since: datetime) -> str:
    """Name the rollback that brought what serves, after a moment (UTC); "" if none is known to have done that."""
    if left is None or left.at is None or left.at <= since:
        return ""
    return left.run if is_alike(baseline, left.serves) else ""


def steps_down_again(position: Mapping[str, Any], choice: RollbackChoice, left: Left | None) -> bool:
    """Say whether a choice leaves what a rollback brought for a still older version, and no release was promoted in between."""
    if choice.kind != "redeploy" or left is None or position["canary"] is not None:
        return False
    return any(may_be(position["baseline"], one) for one in left.brought)


def brought_by(choice: RollbackChoice, before: Left | None) -> tuple[str, ...]:
    """Name the versions that rollbacks brought back since the last promotion, once this choice is carried out."""
    earlier = before.brought if before else ()
    more = (choice.version,) if choice.kind == "redeploy" and choice.version else ()
    return tuple(dict.fromkeys((*earlier, *more)))[-MOST_BROUGHT:]


def as_meant(position: P, left: Left | None, *, to: str, at: datetime) -> P:
    """Give a position in which the version that an earlier rollback left is the newest: a rollback that names none is about that, too.

    Args:
        position: What an environment runs: `baseline`, `canary`, `previous`, and its `owner`.
        left: What the last rollback left there, if no release was deployed since.
        to: The version to return to, or `previous`: to an older version than the one that serves, the latter is left.
        at: Now.
    """
    if left is None:
        return position
    if is_under_way(position, left) or (serves_since(position, left, at=at) and to in {"previous", left.serves, position["baseline"]}):
        newest = left.version if is_under_way(position, left) or position["baseline"] != left.version else left.whole
        found: Any = {**position, "baseline": left.serves, "canary": newest}
        return found  # type: ignore[no-any-return]
    return position


def all_as_meant(positions: Mapping[str, P], lefts: Mapping[str, Left], *, to: str, at: datetime, silent: Collection[str]) -> dict[str, P]:
    """Give the positions of all targets as they are meant.

    Where what rollbacks left in some of them would only make the bad version of all unknown, what serves there counts: a version came to
    other targets since.

    Args:
        positions: What each target runs.
        lefts: What the last rollback left in each, as far as known.
        to: As `as_meant`.
        at: Now.
        silent: Targets that did not say what they run.
    """
    meant = {name: as_meant(one, lefts.get(name), to=to, at=at) for name, one in positions.items()}
    if version_to_leave(meant, to=to, silent=silent) is not None:
        return meant
    return {name: meant[name] if is_under_way(one, lefts.get(name)) else one for name, one in positions.items()}


def version_left(
    position: Mapping[str, Any], choice: RollbackChoice, *, bad: str, to: str, of_release: bool = False, goes_on: bool = False
) -> str | None:
    """Name the version that a choice leaves; None if it leaves none.

    Args:
        position: What the environment runs.
        choice: How it is rolled back.
        bad: The version to get rid of; "" for the newest there.
        to: The version to return to, or `previous`.
        of_release: Whether a release is rolled back. Its version counts as left also where it did not come to run, as its process died
            before that: who reads the alarm, and asks for a rollback, is about that version, too.
        goes_on: Whether another rollback is under way there: what that one leaves stays left, also if another version is to serve instead.
    """
    if choice.version is None or choice.kind not in {"abort", "redeploy", "nothing"}:
        return None
    baseline, canary = position["baseline"], position["canary"]
    if choice.kind == "nothing":
        return bad if of_release and bad not in {"", choice.version} else None
    if goes_on and choice.kind == "redeploy":
        return baseline if baseline != choice.version else None
    found = canary if choice.kind == "abort" else named_there(bad, (canary, baseline), present=position.get("configuration", ""))
    found = found if found in {baseline, canary} else version_meant(baseline=baseline, canary=canary, to=to)
    return found if found != choice.version else None
