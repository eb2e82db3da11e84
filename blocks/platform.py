"""Platform protocol: where an environment's revisions run and how traffic reaches them.

A platform is a Prefect block with these methods, also of a third party. Primitives go in and out, every effect is idempotent and converges
(read, act on the difference, read back), and every effect carries a *lease*: the owner and the generation that `acquire_lease` gave it. An
effect under an older generation is refused with `Superseded`, so that of two copies of one run only the newer can act; one under a lease
that was never given out, or was released, with `Refused`. What is refused moves nothing. An instance holds no state: an effect that ended
in the middle is begun anew by another one. Every promise here is a test of the contract suite (docs/platforms.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NotRequired, Protocol, Self, TypedDict, runtime_checkable

CONFIGURATION = "+config."
"""Separator between a version and the hash of its configuration, on platforms that also release configurations."""


def source_version(version: str) -> str:
    """Return the source version of a version with a configuration hash: `1.4.2` of `1.4.2+config.0f3a9c21b7`."""
    return version.partition(CONFIGURATION)[0]


class Lease(TypedDict):
    """Lease with a fencing token, under which an effect acts.

    Fields:
        owner, generation: Id of the flow run that owns it, and a number that only rises, by one each time: an older one is refused.
    """

    owner: str
    generation: int


class Position(TypedDict):
    """Position: what an environment runs now.

    Fields:
        baseline: Version that serves, or None if nothing was ever deployed.
        canary, percent: Version being rolled out, or None, and its share of new requests, 0 to 100.
        ready: By version, whether it answers its readiness check; not before its first share if it replaces the baseline in place.
        previous: Version that served before `baseline`, or None if that is not known; never one that a rollback took away.
        owner, generation: Who holds the lease, or None, and the newest generation given out.
        replaced: Only if others put `baseline` in the place of this version, which Shipway left there; `previous` may be it, or is None.
        trouble: Only where it is not known who gets which share: what is wrong with what splits the requests, and the fix.
        instead: Only if something else seems to run than what was deployed last: its name. Others replaced it, or it says another name.
        under_way: Only if the canary takes the baseline's place itself, or its promotion was begun: `promote` finishes it at any share.
        idle: Only if nothing of a canary is up in the baseline's place: it has no requests, at any share.
        configuration, changed: Where it is released, too: its hash in a plain name, and what changed. An owner keeps the names.
    """

    baseline: str | None
    canary: str | None
    percent: int
    ready: dict[str, bool]
    previous: str | None
    owner: str | None
    generation: int
    replaced: NotRequired[str]
    trouble: NotRequired[str]
    instead: NotRequired[str]
    under_way: NotRequired[Literal["in place", "promotion"]]
    idle: NotRequired[bool]
    configuration: NotRequired[str]
    changed: NotRequired[list[str]]


class Counts(TypedDict):
    """Cumulative request counts of one revision since `started`; they only rise, and reset with `started`.

    Fields:
        started: Identifies the counter's life: another value means that the counts were reset to zero.
        requests, errors: All requests that were answered or failed; of these, answers with status 500 and above, and without an answer.
        buckets: Cumulative latency histogram: upper bound in seconds (as text, "+Inf" last) to requests at or below it.
    """

    started: str
    requests: int
    errors: int
    buckets: dict[str, int]


class LogLine(TypedDict):
    """One line of a revision's own log, as it was written: who keeps or says it cleans it; `at` is seconds since the epoch, UTC."""

    at: float
    version: str
    text: str


class Endpoints(TypedDict):
    """Base URLs: `public` as users reach the service; the others reach one revision past the traffic split."""

    public: str
    baseline: NotRequired[str]
    canary: NotRequired[str]


class Preview(TypedDict):
    """Preview (dry run): what a release of a version would change; each a line for people, without secrets.

    Fields:
        changes: Each field that would change, by object: `Deployment shop: spec.replicas: 2 → 3`.
        drift, notes: Each field that differs from how the last release left it; what is not known, and why.
    """

    changes: list[str]
    drift: list[str]
    notes: NotRequired[list[str]]


class About(TypedDict):
    """What a release or a rollback is about, for the trailers of a commit: its flow run id, and what was approved by whom, or ""."""

    release: str
    service: str
    digest: str
    approvers: list[str]
    reason: str


@runtime_checkable
class Platform(Protocol):
    """Platform: an environment in which versions of one service are deployed."""

    async def current(self) -> Position:
        """Read what runs now."""
        ...

    async def acquire_lease(self, owner: str, *, takeover: bool = False) -> Lease:
        """Become the owner; the same owner may acquire it again and fences its older self out. Of several at once, one does.

        Args:
            owner: Id of the flow run that will act.
            takeover: Take it from another owner (a rollback does); else that is `Refused`, which names the owner.
        """
        ...

    async def release_lease(self, lease: Lease) -> None:
        """Release the lease; a no-op if it is no longer this owner's."""
        ...

    async def prepare(self, version: str, lease: Lease, *, timeout_seconds: float) -> None:
        """Deploy `version` as the canary at 0 % of traffic, and return once it is ready.

        A canary of this version is kept and gets no requests any more; one of another version is replaced. If `version` is the baseline,
        no canary is made, and one that is there is removed. A platform that replaces the baseline in place checks here that the version
        could come up; the first share then brings it up, and raises what this raises.

        Raises:
            RolloutFailed: It cannot come up; carries the platform's evidence. The baseline serves on; `abort` removes what is left.
        """
        ...

    async def shift(self, percent: int, lease: Lease) -> None:
        """Send `percent` of new requests to the canary (0 to 100), and return once that is in force.

        A platform that tells a gateway returns once the gateway has accepted it; its requests may follow the previous share for a moment.

        Raises:
            BadInput: It is not a share, or not one that the platform can make; names the field `percent`.
            WorldMoved: There is no canary to give a share to.
        """
        ...

    async def promote(self, lease: Lease) -> None:
        """Make the canary the baseline and remember the old baseline as `previous`, which is drained and stopped.

        Under a lease that was acquired with `takeover`, as a rollback's, the old baseline is not remembered, as a second rollback would
        return to it: `previous` stays as it was, or becomes None if that is the version which is promoted. A no-op if there is no canary,
        so also if that was done already. The canary has 100 % when this is called; an earlier call may be refused with `WorldMoved`.
        """
        ...

    async def abort(self, lease: Lease, *, waits: bool = True) -> None:
        """Send everything to the baseline, which is well at return if it `waits`; drain and remove a canary; `previous` stays as it was."""
        ...

    async def endpoints(self) -> Endpoints:
        """Say where the service and each of its revisions are reached; a revision that does not run has no address."""
        ...

    async def counts(self) -> dict[str, Counts]:
        """Read the traffic counts of baseline and canary by version, from the place where requests are split; empty if it counts none."""
        ...

    async def progress(self) -> list[str]:
        """Report in a few lines for an operator what the platform is doing."""
        ...

    async def logs(self, since: float, take: Callable[[LogLine], bool | None]) -> Mapping[str, str]:
        """Hand over the revisions' own log lines since a moment (seconds since the epoch, UTC), one after the other, oldest first.

        An unfinished last line counts, and of a long line its first 64 kB. Once `take` returns True, that version is read no more.
        Returns by version which lines could not be read; "" is each.
        """
        ...


@runtime_checkable
class Labelled(Protocol):
    """Optional part of a platform: labels by which metrics of one revision are queried."""

    async def labels(self) -> dict[str, dict[str, str]]:
        """Return the metric labels of each version's revision: by version, `revision` and, if there is one, `namespace`."""
        ...


@runtime_checkable
class RunsJobs(Protocol):
    """Optional part of a platform: runs Jobs, so that a plan may name migrations."""

    async def run_job(self, manifest: dict[str, Any], lease: Lease, *, name: str, timeout_seconds: float) -> list[str]:
        """Run a Job to its end, once for this owner, name and manifest: a second call finds the first one's Job and waits for it.

        Args:
            manifest: The Job in the platform's own form, with everything filled in.
            lease: The lease of the environment's owner.
            name: What the Job is called in the plan.
            timeout_seconds: It is stopped if it takes longer.

        Returns:
            The last lines that it wrote, without secrets.

        Raises:
            BadInput: The platform rejects this Job; nothing ran.
            RolloutFailed: It failed; carries its last lines.
        """
        ...


@runtime_checkable
class Previewing(Protocol):
    """Optional part of a platform: a dry run before anything changes."""

    async def preview(self, version: str) -> Preview:
        """Return what a release of a version would change, and what others changed since the last release.

        Raises:
            ShipwayError: The platform would refuse it, or does not answer.
        """
        ...


@runtime_checkable
class Strategic(Protocol):
    """Optional part of a platform: several rollout strategies, of which a plan may choose one."""

    def following(self, strategy: str) -> Platform:
        """Return this platform with another strategy.

        Raises:
            BadInput: It has no such strategy.
        """
        ...


@runtime_checkable
class RollsBack(Protocol):
    """Optional part of a platform whose block says how a version is run, so that an edit of the block must not change a rollback."""

    def rolling_back(self) -> Platform:
        """Return this platform for a rollback, which needs no approval: what it starts is run by settings that a release brought."""
        ...


@runtime_checkable
class Identified(Protocol):
    """Optional part of a platform: says what it points to, so that a second block does not hide whose environment it is."""

    async def identity(self) -> str:
        """Return a text that is the same for every block that points to the same environment, and for no other."""
        ...


@runtime_checkable
class Informed(Protocol):
    """Optional part of a platform: keeps a history of changes that says what each is about."""

    def informed(self, about: About) -> Self:
        """Return this platform for a release of which this is known."""
        ...


@runtime_checkable
class Composed(Protocol):
    """Optional part of a platform that is made of several blocks: another value of any field of them is another platform."""

    def parts(self) -> Mapping[str, Any]:
        """Return the blocks by `type/name`, and by "" the one that names them."""
        ...


@runtime_checkable
class Editing(Protocol):
    """Optional part of a platform that deploys by edits of files, which people approve."""

    async def edits(self, version: str) -> list[str]:
        """Return a line for each value that a release of a version would change, with what stands there now; nothing is changed."""
        ...
