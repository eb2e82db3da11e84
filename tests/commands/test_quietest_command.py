"""`shipway windows PLAN --quietest` says what is known of a week's traffic, and nothing else."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import BadInput, Refused
from blocks.key_folder.key_file import create_key, key_path
from flows.cli import build_parser
from flows.commands._measure import measure
from flows.commands._quietest import _write, facts_of, print_rhythm
from tasks.analysis.quietest import Measuring
from tasks.lifecycle.quietest import keep_quietest, read_quietest
from tasks.rules.analysis.forecast import Traffic
from tasks.rules.analysis.rhythm import SLOTS, Slot, profile
from tasks.rules.plan.targets import production_of
from tasks.rules.rollout.windows import needed_for
from tests.flows.harness import Stage
from tests.prometheus_server import PrometheusServer, prometheus_server
from tests.rules.analysis.test_quietest import SCRAPED, asking
from tests.rules.analysis.test_rhythm import daily, traffic
from tests.rules.rollout.test_history import PLAN as HISTORY
from tests.rules.rollout.test_history import took
from tests.rules.rollout.test_steps import plan_of, targets_of
from tests.rules.rollout.test_windows import with_windows
from tests.rules.windows.oracle import utc
from tests.tasks.lifecycle.test_quietest import kept_of

__all__ = ["prometheus_server"]

MONDAY = utc(2026, 11, 30, 12)


def shown(capsys: pytest.CaptureFixture[str], *, share: float, hole: bool = False, **production: Any) -> str:
    """Print a week of traffic, by the wall of Berlin, for a plan whose windows are at night."""
    plan = with_windows(plan_of(**production))
    points = traffic(lambda wall: None if hole and wall.weekday() == 2 else daily(wall) * share, zone="Europe/Berlin")
    facts = facts_of(
        plan, production_of(plan)[0], profile(points, zone="Europe/Berlin"), ({"errors": Traffic(1.0, 1, 1_000)}, True),
        minutes=60, groups=[plan.windows.group("plan")], at=MONDAY, zone="Europe/Berlin",
    )  # fmt: skip
    print_rhythm({"zone": "Europe/Berlin", "minutes": 60, "environments": [{"environment": "production", "counter": "x", **facts}]})
    return capsys.readouterr().out


def test_the_week_and_its_quietest_windows_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """By the wall, with the windows of production, and with what was not measured."""
    said = shown(capsys, share=3_000, hole=True)
    lines = said.splitlines()
    assert lines[1] == "production: traffic by the time of Europe/Berlin, from 8 week(s) of x"
    assert next(line for line in lines if line.startswith("  Wed")) == "  Wed   " + "·" * 24
    assert "86% of the week was ever measured" in said
    rows = [line.split()[:2] for line in lines if " at most, in " in line]
    assert ["Mon", "02:30–03:30"] in rows
    assert len([row for row in rows if row[0] == "Wed"]) == 0
    assert "production is closed then" in said
    assert "  Release Mon 02:30–03:30: its steps need about" in said
    assert "While production is open, the quietest is Tue 01:00–02:00, with" in said


def test_a_picture_is_drawn_for_each_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One has the file that was named; and what cannot be written is said."""
    one, several = production_of(plan_of())[0], production_of(targets_of(1, 1))
    for place in (one, *several):
        _write(tmp_path / "week.svg", place, "<svg/>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["week-t0.svg", "week-t1.svg", "week.svg"]
    assert "The picture is in " in capsys.readouterr().err
    with pytest.raises(BadInput, match=r"--picture: .* cannot be written"):
        _write(tmp_path / "no" / "week.svg", one, "<svg/>")


def test_another_plan_with_the_name_of_a_service_measures_nothing_over_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes plans can call a service by any name; nor does it forget what was measured."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    plan = asking(plan_of(), SCRAPED)
    keep_quietest(plan.service, kept_of(plan))
    for windows in (plan.windows, plan_of().windows):
        production = plan.production.model_copy(update={"platform": "local/of-another-plan"})
        with pytest.raises(Refused, match="was measured for"):
            measure(plan.model_copy(update={"production": production, "windows": windows}))
    assert read_quietest(plan.service) is not None


@pytest.mark.parametrize("fault", [None, RuntimeError("503"), TimeoutError()])
def test_what_is_measured_by_hand_has_its_page_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: Exception | None
) -> None:
    """Not in a week, when the keeper measures again; and it counts although the server does not take the page."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    plan, pages = asking(plan_of(), SCRAPED), dict[str, str]()
    kept = kept_of(plan)

    async def write(markdown: str, *, key: str) -> None:
        if fault is not None:
            raise fault
        pages[key] = markdown

    async def found(*_: Any, **__: Any) -> Any:
        return Measuring(kept, [Slot(1.0, 1.0, 8)] * SLOTS)

    ways: dict[str, Any] = {
        "flows.commands._quietest.prometheus_of": found, "flows.commands._power.measure_production": found,
        "tasks.analysis.quietest.measure_quietest": found, "tasks.lifecycle.server.server": contextlib.AsyncExitStack,
        "flows.lifecycle.quietest.write_page": write,
    }  # fmt: skip
    for name, way in ways.items():
        monkeypatch.setattr(name, way)
    measure(plan)
    assert read_quietest(plan.service) == kept
    if fault is None:
        assert list(pages) == [f"quietest-{plan.service}"]
        assert kept.chosen.words in pages[f"quietest-{plan.service}"]
    said = f"but its page, the artifact `quietest-{plan.service}`, could not be written: the server "
    assert (said in capsys.readouterr().err) is (fault is not None)


def test_a_service_that_is_too_quiet_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    """With the requests that would do, the time that probes need, and the quietest time that still decides, if there is one."""
    said = shown(capsys, share=0.0001)
    assert "The quietest is too quiet to judge: the steps need about" in said
    assert "probes would need" in said
    assert "still decides" not in said


def test_a_window_that_is_shorter_than_a_release_is_not_proposed(capsys: pytest.CaptureFixture[str]) -> None:
    """It says how long a wave takes, which may fit with `--quietest` of as many minutes."""
    said = shown(capsys, share=3_000, steps=[{"percent": 10, "watch_seconds": 7_200}, {"percent": 100}])
    assert "Mon 02:30–03:30 is the quietest: its steps need about" in said
    assert "A wave takes up to " in said
    assert "longer than these 60" in said
    assert "Release Mon" not in said


def open_and_deciding(capsys: pytest.CaptureFixture[str], share: float) -> str:
    """Give the sentence about what is open."""
    return next(part for part in shown(capsys, share=share).split(". ") if "While production is open" in part)


@pytest.mark.slow
def test_of_what_is_open_the_quietest_that_decides_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """If the quietest of all is open and too quiet, another one may be open and not."""
    found = [open_and_deciding(capsys, share) for share in (3_000, 600, 400, 300, 200, 100, 50, 30, 20, 10)]
    assert "which can be judged" in found[0]
    assert any("which is too quiet to judge; the quietest that can is " in one for one in found)


def test_the_minutes_are_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    """With what may be written."""
    for wrong in ("0", "x", "1441"):
        with pytest.raises(SystemExit):
            build_parser()[0].parse_args(["windows", "--quietest", wrong])
    assert "is not a number of minutes from 5 to 1440" in capsys.readouterr().err


@pytest.fixture
async def stage(server: Any, tmp_path: Path) -> AsyncIterator[Stage]:  # noqa: ARG001 - its settings
    """Give a stage on which 1.0 serves."""
    found = Stage("quiet", tmp_path, None)  # type: ignore[arg-type]  # no process is forked
    await found.raise_up()
    yield found
    await found.end()


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(300)
async def test_a_prometheus_that_knows_nothing_is_not_taken_for_a_quiet_service(
    stage: Stage, prometheus_server: PrometheusServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through block, server and platform."""
    from blocks.prometheus.prometheus import Prometheus  # noqa: PLC0415
    from flows.commands._measure import _measure  # noqa: PLC0415
    from flows.commands._quietest import _ask  # noqa: PLC0415
    from flows.commands.check import look_at  # noqa: PLC0415

    await Prometheus(url=prometheus_server.url).save("quiet", overwrite=True)
    judgement = {"prometheus": "prometheus/quiet", "slis": [{"name": "errors", "indicator": "errors", "tolerance": 0.3}]}
    windows = {"quietest": {"minutes": 60, "zone": "UTC", "owner": "ada", "counter": 'http_requests_total{job="none"}'}}
    plan, problems, _ = await asyncio.to_thread(look_at, Path(stage.plan(judgement=judgement, windows=windows)))
    assert plan is not None, problems
    arguments = argparse.Namespace(counter='http_requests_total{job="none"}', quietest=60)
    found = await _ask(arguments, plan, [], datetime.now(UTC), zone="UTC")
    print_rhythm({"zone": "UTC", "minutes": 60, "environments": found})
    assert "Prometheus has no such counter, so nothing is known: that is not the same as no traffic." in capsys.readouterr().out
    with pytest.raises(BadInput, match="Prometheus has no such counter"):
        await _measure(plan, None)
    assert read_quietest(plan.service) is None


def test_how_long_a_wave_takes_goes_by_the_history_if_the_plan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere else."""
    history = [took(1_800.0, days=number) for number in range(6)]
    monkeypatch.setattr("tasks.record.kept_times.history_of", lambda _plan: history)
    points = traffic(lambda wall: daily(wall) * 3_000, zone="UTC")
    facts = facts_of(
        HISTORY, production_of(HISTORY)[0], profile(points, zone="UTC"), ({"errors": Traffic(1.0, 1, 1_000)}, True),
        minutes=60, groups=[], at=MONDAY, zone="UTC",
    )  # fmt: skip
    assert facts["longest_minutes"] == math.ceil(needed_for(HISTORY, 1, history).total_seconds() / 60)
    assert facts["longest_minutes"] != math.ceil(needed_for(HISTORY, 1).total_seconds() / 60)
