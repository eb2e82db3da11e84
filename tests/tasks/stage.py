"""A stage for watches: pods of two revisions that a real Prometheus scrapes, and a platform that says what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from blocks.prometheus.prometheus import Prometheus
from tasks.analysis.sources import Subject
from tasks.analysis.watch import begin_watch, watch_step
from tasks.rules.plan.plan import Judgement, PrometheusPairSli, PrometheusSli, Sli
from tests.prometheus_server import Exporter, PrometheusServer
from tests.tasks.fake_platform import OURS, FakePlatform

_apps = iter(range(1_000))


class Stage:
    """Two pods of each revision under a label of this test's own, and a Prometheus that scrapes them."""

    def __init__(self, server: PrometheusServer, stack: contextlib.ExitStack) -> None:
        """Publish."""
        self.server, self.stack, self.app = server, stack, f"shop-{next(_apps)}"
        self.canary = [self.pod(version="1.1") for _ in range(2)]
        self.baseline = [self.pod(version="1.0") for _ in range(2)]
        self.platform = FakePlatform()

    def pod(self, **labels: str) -> Exporter:
        """Publish the counters of one more pod."""
        return self.stack.enter_context(self.server.exporting(app=self.app, **labels))

    @property
    def selector(self) -> str:
        """Choose this test's series."""
        return f'app="{self.app}",version="{{version}}"'

    def sli(self, **fields: Any) -> PrometheusSli:
        """Make an SLI over them."""
        return PrometheusSli.model_validate(
            {"name": "errors", "source": "prometheus", "indicator": "errors", "selector": self.selector, **fields}
        )

    def pair(self, bad: str = "sum(http_requests_total{%s,status='500'}) or vector(0)", total: str = "sum(http_requests_total{%s})") -> Sli:
        """Make an SLI of two expressions."""
        return PrometheusPairSli(
            name="pair", source="prometheus", bad=bad.replace("%s", self.selector), total=total.replace("%s", self.selector)
        )

    def subject(self, *slis: Sli, block: Prometheus | None = None, **fields: Any) -> Subject:
        """Return what is watched."""
        judgement = Judgement.model_validate({"slis": [*slis], "interval_seconds": 0.2, "min_requests": 20, **fields})
        return Subject("shop", "production", judgement, block or Prometheus(url=self.server.url, timeout_seconds=10))

    def serve(self, good: int, *, bad: int = 0, slow: int = 0) -> None:
        """Let every pod serve; the canary's fail or dawdle besides."""
        for pod in (*self.canary, *self.baseline):
            pod.serve(good)
        self.canary[0].serve(0, bad, slow=slow)

    async def seen(self) -> None:
        """Wait until Prometheus has it."""
        for pod in (*self.canary, *self.baseline):
            await asyncio.to_thread(self.server.scraped, pod)

    async def begin(self, subject: Subject) -> Any:
        """Remember the beginning, as JSON would."""
        await self.seen()
        return json.loads(json.dumps(await begin_watch.fn(self.platform, subject=subject, version="1.1", key="k")))

    async def watch(self, subject: Subject, begun: Any, *, seconds: float = 60, percent: int = 25) -> dict[str, Any]:
        """Watch to the end."""
        self.platform.position["percent"] = percent
        found = await watch_step.fn(
            self.platform, subject=subject, version="1.1", percent=percent, watch_seconds=seconds, lease=OURS, begun=begun, key="k"
        )
        return found.model_dump(mode="json")


@pytest.fixture
def stage(prometheus_server: PrometheusServer) -> Iterator[Stage]:
    """Set the stage, with a past of ten thousand requests and some errors in it."""
    with contextlib.ExitStack() as stack:
        found = Stage(prometheus_server, stack)
        found.serve(5_000, bad=700, slow=90)
        yield found
