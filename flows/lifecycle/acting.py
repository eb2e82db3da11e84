"""For whom this process acts, and what that release acts by: its plan and the settings of its blocks, in memory and beside the key."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from blocks.errors import Refused, WorldMoved
from blocks.kubernetes.api.credentials import same_clusters
from blocks.kubernetes.reader import reading_for
from blocks.outside_text import error_text
from blocks.platform import Lease, Platform, Position
from blocks.prometheus.prometheus import Prometheus
from tasks.evidence.begun import Begun, keep_begun, read_begun
from tasks.evidence.settings import reached_by, settings_fingerprint
from tasks.lifecycle.beats import shows_life
from tasks.record.journal import say
from tasks.record.without_key import is_rolling_back
from tasks.rules.evidence.inputs import PROMETHEUS, TakenPlan

_acting: ContextVar[Acting | None] = ContextVar("acting", default=None)


@dataclass
class Acting:
    """For whom this process acts.

    Fields:
        run: Flow run id of the release.
        round: The newest round that it began.
        platforms: The platforms that it loaded, by block, strategy and whether for a rollback, each with the moment at which it is
            loaded anew.
        plans: The plans that it took, by scope.
        begun: What is kept of it beside the key; None before that was looked for.
        writing: Held while that is written: targets of a wave begin at once.
        seen: What each environment pointed to when this process looked at its owner, before it changed anything there.
        leases: The newest lease that this process acquired, by environment.
    """

    run: str
    round: int = 1
    platforms: dict[tuple[str, str | None, bool], tuple[float, Platform]] = field(default_factory=dict)
    plans: dict[str, TakenPlan] = field(default_factory=dict)
    begun: Begun | None = None
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    seen: dict[str, str] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)

    async def known(self) -> Begun:
        """Give what is kept of the release.

        Raises:
            Refused: It cannot be read, and this is not a rollback, which goes on without it.
        """
        if self.begun is None:
            try:
                self.begun = await read_begun(self.run)
            except Refused as error:
                if not is_rolling_back():
                    raise
                say(f"{error_text(error)}. The rollback goes on without it")
                return Begun()
        return self.begun

    async def settings(self) -> dict[str, str]:
        """Give the fingerprints of this round's blocks."""
        return (await self.known()).settings.get(self.round, {})


def acting() -> Acting | None:
    """Give for whom this process acts; None if for no release."""
    return _acting.get()


def seen_in(environment: str) -> str | None:
    """Give what an environment pointed to when its owner was looked at, going forward; None if that was not looked at."""
    release = acting()
    return release.seen.get(environment) if release else None


@contextlib.contextmanager
def acting_for(run: str) -> Iterator[None]:
    """Let this process act for a run, and show that it lives: its phases may use that run's scope, and no others may.

    Args:
        run: Flow run id of the release.
    """
    token = _acting.set(Acting(run))
    try:
        with same_clusters(), shows_life(run), reading_for("" if is_rolling_back() else run):
            yield
    finally:
        _acting.reset(token)


def note_lease(environment: str, lease: Lease) -> None:
    """Remember the lease that this process acquired for the release for which it acts."""
    if release := acting():
        release.leases[environment] = lease


def has_lease(environment: str, position: Position) -> bool | None:
    """Say whether the newest lease of an environment is the one that this process acquired: then no newer copy of it acts there.

    Returns:
        None if this process acquired none there, as one that goes on after a wait acquires none of an environment in which it is done.
    """
    lease = release.leases.get(environment) if (release := acting()) else None
    return None if lease is None else (lease["owner"], lease["generation"]) == (position["owner"], position["generation"])


async def fix_settings(environment: str, platform: Platform, approved: Mapping[str, str] | None) -> None:
    """Fix what the release acts and is judged by, before it changes an environment; a process that goes on later compares with it.

    Args:
        environment: Which one.
        platform: The platform that will act on it.
        approved: The fingerprints that were approved; None for staging, which is before the approval.

    Raises:
        Refused: The key or its folder cannot be used.
        WorldMoved: It is another one than acted there before.
    """
    release = acting()
    if release is None:
        return
    await expect_as_begun(environment, platform)
    now = {environment: settings_fingerprint(platform, await reached_by(platform))} if approved is None else dict(approved)
    named = {name: one for name, one in now.items() if name in {environment, PROMETHEUS}}
    async with release.writing:
        kept, before = await release.known(), await release.settings()
        begun = Begun(plans=kept.plans | release.plans, settings={**kept.settings, release.round: {**named, **before}})
        if begun != kept:
            await keep_begun(release.run, begun)
            release.begun = begun


async def fix_plan(scope: str, taken: TakenPlan) -> None:
    """Fix the plan of a rollback at its first step: later neither storage nor file decide where it goes, or that it ends.

    Args:
        scope: Its scope.
        taken: The plan.
    """
    release = acting()
    if release is None:
        return
    release.plans[scope] = taken
    async with release.writing:
        kept = await release.known()
        begun = Begun(plans=kept.plans | release.plans, settings=kept.settings)
        try:
            if begun != kept:
                await keep_begun(release.run, begun)
            release.begun = begun
        except Refused as error:
            say(f"{error_text(error)}. The rollback goes on without it")


async def expect_as_begun(name: str, block: Platform | Prometheus | None) -> None:
    """Compare a block that was loaded anew with what the release began with.

    Args:
        name: The environment, or `judgement.prometheus`.
        block: What was loaded.

    Raises:
        WorldMoved: It was changed since the release's first change there.
    """
    release = acting()
    known = (await release.settings()).get(name) if release else None
    if known is None:
        return
    if settings_fingerprint(block, await reached_by(block)) != known:
        fix = "Look at it (`prefect block inspect`), then release again"
        raise WorldMoved(f"the block of {name} was changed since this release began to act by it: what it was then was approved. {fix}")
