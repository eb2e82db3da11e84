"""The sources of a watch's counts, read side by side: none waits for another, and a slow one is asked again when it has answered."""

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
from tasks.rules.plan.judgement import Judgement, PlatformSli, ProbeSli, PrometheusPairSli, PrometheusSli
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import target_of
from tasks.verification.http_check import Asker, http_client, load_secrets


@dataclass(frozen=True)
class Subject:
    """What is watched: a version of a service in an environment, by the plan's judgement.

    Fields:
        service: The service's name.
        environment: The environment's name.
        judgement: The plan's section.
        prometheus: The Prometheus that its SLIs ask, or None where none does.
    """

    service: str
    environment: str
    judgement: Judgement
    prometheus: Prometheus | None = None

    @property
    def asks_platform(self) -> bool:
        """Whether any SLI counts where the traffic is split."""
        return any(isinstance(sli, PlatformSli) for sli in self.judgement.slis)


@dataclass
class Sources:
    """All sources but the platform, which the watch itself looks at.

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
        """Begin to read each source that is not being read."""
        for name, source in (("Prometheus", self.prometheus), ("the probe", self.probe)):
            if source is not None and name not in self.pending:
                self.pending[name] = asyncio.ensure_future(source.read()), time.monotonic()

    async def collect(self, *, patience_seconds: float | None) -> dict[str, Seen]:
        """Take what was read.

        Args:
            patience_seconds: How long to wait for it; None waits until every source answered, or ran into its own time limit.

        Returns:
            By SLI; one whose source has not answered yet is silent.
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
        """Say what is remembered of the beginning, for the sources that were read then."""
        seen = self.probe.beginning() if self.probe else {}
        if self.prometheus:
            known = self.prometheus.memory
            seen |= {sli.name: see(sli, known[sli.name]) for sli in self.prometheus.slis if sli.name in known}
        return seen

    def platform(self, counts: Mapping[str, Any]) -> dict[str, Seen]:
        """See the platform's SLIs in its counts."""
        mine = [sli for sli in self.judgement.slis if isinstance(sli, PlatformSli)]
        return {sli.name: see_platform(sli, counts, versions=self.versions) for sli in mine}

    def _of(self, name: str) -> list[Any]:
        source: Any = self.prometheus if name == "Prometheus" else self.probe
        return list(source.slis)

    async def remember(self) -> dict[str, Any]:
        """Read what a restarted watch must know of its beginning, as JSON; a source that is silent now begins when it speaks."""
        if self.prometheus is None:
            return {}
        await self.prometheus.read()
        return dict(self.prometheus.memory)

    def lost_seconds(self, begun: Mapping[str, Any]) -> float:
        """Take back what probes counted in an earlier span, and say how much of the watch was not, or no longer is, probed.

        Args:
            begun: When the watch began (`at`), and `probes` of an earlier span: `at` and `counts`.

        Returns:
            What died with a process, in seconds; 0 without probes that decide: other counts are kept elsewhere.
        """
        if self.probe is None:
            return 0.0
        handed = begun.get("probes") or {"at": begun["at"], "counts": {}}
        self.probe.go_on_from(handed["counts"])
        return max(0.0, time.time() - handed["at"]) if any(sli.deciding for sli in self.probe.slis) else 0.0

    async def end(self) -> None:
        """End what is under way."""
        tasks = [task for task, _ in self.pending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def subject_of(plan: Plan, environment: str) -> Subject:
    """Say what a plan has watched in an environment, with the block that its Prometheus SLIs ask.

    Raises:
        BadInput, Temporary: The block cannot be loaded.
    """
    return Subject(plan.service, environment, plan.judgement, await load_prometheus(plan.judgement))


@asynccontextmanager
async def open_sources(
    subject: Subject, platform: Platform, *, versions: Mapping[Role, str], memory: Mapping[str, Any] | None = None
) -> AsyncIterator[Sources]:
    """Open the sources that a judgement names.

    Args:
        subject: What is watched.
        platform: The environment.
        versions: The version of each revision.
        memory: What Prometheus's SLIs were at the watch's beginning, as JSON.

    Raises:
        BadInput: A secret that a probe names is not there.
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
            asker = Asker(await stack.enter_async_context(http_client()), await load_secrets(probed, field="judgement.slis"))
            sources.probe = ProbeSource(asker, platform, probed, versions)
        stack.push_async_callback(sources.end)
        yield sources
