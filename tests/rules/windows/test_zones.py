"""Zones and cron lines: what is refused, and in which words."""

from __future__ import annotations

import sys
import zoneinfo
from collections.abc import Iterator
from datetime import datetime

import pytest

from blocks.errors import BadInput
from tasks.rules.windows.cron import cron_fault
from tasks.rules.windows.opening import look
from tasks.rules.windows.window import Window
from tasks.rules.windows.zones import utc_of, zone_fault, zone_of
from tests.rules.windows.oracle import utc


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Australia/Lord_Howe"])
def test_names_of_iana_are_known(name: str) -> None:
    """With and without a second slash."""
    assert zone_fault(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "CET", "localtime", "Europe", "Europe/Bonn", "europe/berlin", "../etc/passwd", "/etc/passwd", "posix/Europe/Berlin", "A/\0"],
)
def test_other_names_are_refused(name: str) -> None:
    """Abbreviations, links of this machine, paths, and cities without a zone."""
    assert "time zone" in (zone_fault(name) or "")
    with pytest.raises(BadInput, match="IANA"):
        zone_of(name)


@pytest.fixture
def without_zone_data() -> Iterator[None]:
    """Let this process have no zone data: neither the system's nor the package's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("tzdata", "tzdata.zoneinfo", "tzdata.zoneinfo.Europe"):
            patch.setitem(sys.modules, name, None)
        zoneinfo.reset_tzpath(to=())
        zoneinfo.ZoneInfo.clear_cache()
        yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.usefixtures("without_zone_data")
def test_missing_zone_data_is_said() -> None:
    """An answer without data would be a guess."""
    window = Window("allow", "Europe/Berlin", "quiet", "ada", begins=datetime(2026, 1, 1))  # noqa: DTZ001 - the wall's
    with pytest.raises(BadInput, match="has no zone data: install the package tzdata"):
        look([(window,)], utc(2026, 11, 29))


@pytest.mark.parametrize(
    ("zone", "wall", "moment"),
    [
        ("Europe/Berlin", (2026, 3, 29, 2, 0), utc(2026, 3, 29, 1)),
        ("Europe/Berlin", (2026, 3, 29, 2, 59), utc(2026, 3, 29, 1)),
        ("Europe/Berlin", (2026, 10, 25, 2, 30), utc(2026, 10, 25, 0, 30)),
        ("Australia/Lord_Howe", (2026, 10, 4, 2, 15), utc(2026, 10, 3, 15, 30)),
        ("America/Sao_Paulo", (2018, 11, 4, 0, 0), utc(2018, 11, 4, 3)),
        ("Pacific/Apia", (2011, 12, 30, 12, 0), utc(2011, 12, 30, 10)),  # a day that was left out
        ("Asia/Kolkata", (2028, 2, 29, 0, 0), utc(2028, 2, 28, 18, 30)),
    ],
)
def test_a_wall_time_is_one_moment(zone: str, wall: tuple[int, ...], moment: datetime) -> None:
    """In a gap the first instant behind it, of a repeated hour the first."""
    assert utc_of(datetime(*wall), zone_of(zone)) == moment  # type: ignore[arg-type] # noqa: DTZ001 - the wall's


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("0 22 * *", "5 fields, and this has 4"),
        ("0 0 22 * * *", "5 fields, and this has 6"),
        ("@daily", "5 fields, and this has 1"),
        ("60 22 * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 22 30 2 *", "bad day-of-month"),
        ("0 22 * * MONDAY", "bad day-of-week"),
        ("0 22 * * 5-1", "bad day-of-week"),
        ("٠ 22 * * *", "fields"),
    ],
)
def test_a_wrong_cron_line_is_said(line: str, wrong: str) -> None:
    """In the words of its fields."""
    assert wrong in (cron_fault(line) or "")


@pytest.mark.parametrize("line", ["0 22 * * 1-5", "*/15 1,2 L * *", "0 0 29 2 *", "0 3 * * MON#1"])
def test_a_right_cron_line_has_no_fault(line: str) -> None:
    """With lists, ranges, steps, and the last day of the month."""
    assert cron_fault(line) is None
