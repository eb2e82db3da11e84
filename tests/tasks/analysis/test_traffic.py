"""The traffic of the running version is measured where it can be, and nothing waits where there is none."""

from __future__ import annotations

import time

import pytest

from tasks.analysis.sources import Subject
from tasks.analysis.traffic import measure_traffic
from tasks.rules.plan.plan import Judgement, PlatformSli
from tests.tasks.fake_platform import FakePlatform, counted

pytestmark = pytest.mark.usefixtures("offline")
SUBJECT = Subject("guestbook", "production", Judgement(slis=[PlatformSli(name="errors", indicator="errors")]))


async def test_traffic_is_measured_from_what_the_platform_counts() -> None:
    """The rate is that of the time between two readings, the ratio that of all that was counted."""
    platform = FakePlatform()
    platform.serve(v1_0=counted(1_000, 10))
    platform.at_look = lambda look: platform.serve(v1_0=counted(1_000 + 100 * (look - 1), 10))
    found = (await measure_traffic.fn(platform, subject=SUBJECT, baseline="1.0"))["errors"]
    assert (found.bad, found.total) == (10, 1_100)
    assert 100 < found.per_second < 400


async def test_a_version_without_traffic_is_not_waited_for() -> None:
    """No request so far, no baseline: not known, at once."""
    began = time.monotonic()
    assert await measure_traffic.fn(FakePlatform(), subject=SUBJECT, baseline="1.0") == {}
    assert await measure_traffic.fn(FakePlatform(), subject=SUBJECT, baseline=None) == {}
    assert time.monotonic() - began < 1
