"""Sources of a watch's counts, read in parallel: none waits for another, and a slow one is read again once it has answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from blocks.platform import Platform
from blocks.prometheus.prometheus import Prometheus
from tasks.analysis.source_probe import ProbeSource
from tasks.analysis.source_prometheus import PrometheusSource, remembered, see
from tasks.rollout.platforms import load_prometheus
from tasks.rules.analysis.observation import Role, Seen
from tasks.rules.analysis.platform_counts import see_platform
from tasks.rules.plan.credentials import Receiver
from tasks.rules.plan.judgement import Judgement, PlatformSli, ProbeSli, PrometheusPairSli, PrometheusSli
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import place_of, target_of
from tasks.verification.http_check import Asker, http_client, load_secrets


@dataclass(frozen=True)
class Subject:
    """What is watched: a version of a service in an environment, by the plan's judgement.

    Fields:
        service: The service's name.
        environment: The environment's name.
        judgement: The plan's section.
        prometheus: The Prometheus of its SLIs, or None without such SLIs.
        platform: The environment's block; probes send no credential without it.
    """

    service: str
    environment: str
    judgement: Judgement
    prometheus: Prometheus | None = None
    platform: str = ""

    @property
    def asks_platform(self) -> bool:
        """Whether any SLI uses the platform's counts."""
        return any(isinstance(sli, PlatformSli) for sli in self.judgement.slis)


@dataclass
class Sources:
    """All sources but the platform, which the watch itself reads.

    Fields:
        judgement: The plan's section.
        versions: The version of each revision.
        prometheus: The Prometheus SLIs, or None.
        probe: The probing SLIs, or None.
        pending: Readings under way, by source, and since when.
    """

    judgement: Judgement
    versions: Mapping[Role, str]
    prometheus: PrometheusSource | None = None
    probe: ProbeSource | None = None
    pending: dict[str, tuple[asyncio.Task[dict[str, Seen]], float]] = field(default_factory=dict)

    def start(self) -> None:
        """Start a reading of each source without one."""
        for name, source in (("Prometheus", self.prometheus), ("the probe", self.probe)):
            if source is not None and name not in self.pending:
                self.pending[name] = asyncio.ensure_future(source.read()), time.monotonic()

    async def collect(self, *, patience_seconds: float | None) -> dict[str, Seen]:
        """Collect what was read.

        Args:
            patience_seconds: How long to wait for it; None waits until every source answered, or ran into its own time limit.

        Returns:
            By SLI; one whose source has not answered yet has a `silence`.
        """
        seen: dict[str, Seen] = {}
        if self.pending:
            await asyncio.wait([task for task, _ in self.pending.values()], timeout=patience_seconds)
        for name, (task, since) in list(self.pending.items()):
            if task.done():
                del self.pending[name]
                seen |= task.result()
            else:
                silent = Seen(silence=f"{name} has not answered for {time.monotonic() - since:.1f} s")
                seen |= {sli.name: silent for sli in self._of(name)}
        return seen

    def beginning(self) -> dict[str, Seen]:
        """Return the state at the beginning, for the sources that were read then."""
        seen = self.probe.beginning() if self.probe else {}
        if self.prometheus:
            known = self.prometheus.memory
            seen |= {sli.name: see(sli, known[sli.name]) for sli in self.prometheus.slis if sli.name in known}
        return seen

    def platform(self, counts: Mapping[str, Any]) -> dict[str, Seen]:
        """Read the platform's SLIs from its counts."""
        mine = [sli for sli in self.judgement.slis if isinstance(sli, PlatformSli)]
        return {sli.name: see_platform(sli, counts, versions=self.versions) for sli in mine}

    def _of(self, name: str) -> list[Any]:
        source: Any = self.prometheus if name == "Prometheus" else self.probe
        return list(source.slis)

    async def remember(self) -> dict[str, Any]:
        """Return as JSON what a restarted watch needs of its beginning; a source that is silent now begins at its first answer."""
        if self.prometheus is None:
            return {}
        await self.prometheus.read()
        return dict(self.prometheus.memory)

    def lost_seconds(self, begun: Mapping[str, Any]) -> float:
        """Restore the probes' counts of an earlier span, and return how much of the watch is not covered by probes.

        Args:
            begun: When the watch began (`at`), and `probes` of an earlier span: `at` and `counts`.

        Returns:
            The lost time in seconds; 0 without deciding probes, because other sources keep their counts.
        """
        if self.probe is None:
            return 0.0
        handed = begun.get("probes") or {"at": begun["at"], "counts": {}}
        self.probe.go_on_from(handed["counts"])
        return max(0.0, time.time() - handed["at"]) if any(sli.deciding for sli in self.probe.slis) else 0.0

    async def end(self) -> None:
        """Cancel the readings under way."""
        tasks = [task for task, _ in self.pending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def subject_of(plan: Plan, environment: str) -> Subject:
    """Return the subject of a watch: a plan's service in an environment, with its Prometheus block.

    Raises:
        BadInput, Temporary: The block cannot be loaded.
    """
    return Subject(plan.service, environment, plan.judgement, await load_prometheus(plan.judgement), place_of(plan, environment).platform)


@asynccontextmanager
async def open_sources(
    subject: Subject, platform: Platform, *, versions: Mapping[Role, str], memory: Mapping[str, Any] | None = None
) -> AsyncIterator[Sources]:
    """Open the sources that a judgement names.

    Args:
        subject: What is watched.
        platform: The environment.
        versions: The version of each revision.
        memory: The state of Prometheus's SLIs at the watch's beginning, as JSON.

    Raises:
        BadInput: A credential that a probe names does not exist, or is not for these versions.
    """
    sources = Sources(subject.judgement, versions)
    asked = [sli for sli in subject.judgement.slis if isinstance(sli, PrometheusSli | PrometheusPairSli)]
    probed = [sli for sli in subject.judgement.slis if isinstance(sli, ProbeSli)]
    async with AsyncExitStack() as stack:
        if asked and subject.prometheus is not None:
            words = {"service": subject.service, "environment": subject.environment, "target": target_of(subject.environment)}
            client = await stack.enter_async_context(subject.prometheus.client())
            sources.prometheus = PrometheusSource(client, platform, asked, versions, words, remembered(memory))
        if probed:
            receiver = Receiver(subject.service, platform=subject.platform)
            secrets = await load_secrets(probed, field="judgement.slis", receiver=receiver)
            asker = Asker(await stack.enter_async_context(http_client()), secrets)
            sources.probe = ProbeSource(asker, platform, probed, versions)
        stack.push_async_callback(sources.end)
        yield sources
