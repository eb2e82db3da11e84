"""The section `windows` of a plan: each fault with its place and fix, and what the rules of windows get."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tasks.rules.plan.file import read_plan
from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.summary import describe_course
from tasks.rules.windows.holidays import Holidays
from tasks.rules.windows.window import Window
from tests.rules.plan.test_file import MINIMAL

WHO = "zone: Europe/Berlin, reason: quiet, owner: ada"


def read(window: str) -> tuple[Plan | None, list[str]]:
    """Read the minimal plan with one allow window."""
    plan, problems = read_plan(f"{MINIMAL}windows: {{allow: [{{{window}}}]}}\n", name="p.yaml")
    return plan, [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (f'cron: "0 22 * *", duration_minutes: 3, {WHO}', "windows.allow[0].cron: a cron line has 5 fields, and this has 4. Write minute"),
        (f'cron: "0 25 * * *", duration_minutes: 3, {WHO}', "windows.allow[0].cron: `0 25 * * *` is not a cron line: bad hour"),
        (f'cron: "0 22 * * *", {WHO}', "windows.allow[0]: `cron` needs one duration, and has 0. Write `duration_minutes` or"),
        (f'cron: "0 22 * * *", duration_minutes: 3, duration_days: 1, {WHO}', "windows.allow[0]: `cron` needs one duration, and has 2"),
        (f'cron: "0 22 * * *", duration_minutes: 0, {WHO}', "windows.allow[0].duration_minutes: `0` must be at least 1"),
        (f'cron: "0 22 * * *", duration_days: 1, until: "2027-01-01", {WHO}', "windows.allow[0]: `cron` is given beside `from` or `until`"),
        (WHO, "windows.allow[0]: neither `cron` nor `from` nor `until` is given. Write `cron` with a duration"),
        (f'until: "2027-01-01", duration_days: 3, {WHO}', "windows.allow[0]: a duration is given without `cron`. Write `until` instead"),
        (
            f'from: "2027-01-02", until: "2027-01-01", {WHO}',
            "windows.allow[0]: it closes at 2027-01-01, not after 2027-01-02. Write `until`",
        ),
        (f'from: "2027-02-29", {WHO}', "windows.allow[0].from: `2027-02-29` is not a date: day is out of range"),
        (f"from: 2027-02-28, {WHO}", 'windows.allow[0].from: `2027-02-28` is read as a date by YAML. Put it in quotes: "2027-02-28".'),
        (f'from: "28.02.2027", {WHO}', "windows.allow[0].from: `28.02.2027` does not fit. Write a date and a time of the wall in quotes"),
        (
            'from: "2027-01-01", zone: CET, reason: a, owner: b',
            "windows.allow[0].zone: `CET` is not the name of a time zone. Write an IANA",
        ),
        ('from: "2027-01-01", zone: Europe/Bonn, reason: a, owner: b', "windows.allow[0].zone: the time zone `Europe/Bonn` is not known"),
        ('from: "2027-01-01", zone: UTC, owner: b', "windows.allow[0].reason: `reason` is missing"),
        ('from: "2027-01-01", zone: UTC, reason: a', "windows.allow[0].owner: `owner` is missing"),
    ],
)
def test_a_wrong_window_is_said_with_its_place_and_fix(window: str, said: str) -> None:
    """Cron, zone, times and durations."""
    plan, problems = read(window)
    assert plan is None
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        (
            f'cron: "0 22 * * 1-5", duration_minutes: 240, {WHO}',
            Window("allow", "Europe/Berlin", "quiet", "ada", cron="0 22 * * 1-5", lasts=timedelta(hours=4)),
        ),
        (
            f'cron: "0 0 * * SUN", duration_days: 1, {WHO}',
            Window("allow", "Europe/Berlin", "quiet", "ada", cron="0 0 * * SUN", lasts=timedelta(days=1), by_wall=True),
        ),
        (
            f'from: "2026-12-20 18:00", until: "2027-01-02", {WHO}',
            Window("allow", "Europe/Berlin", "quiet", "ada", begins=datetime(2026, 12, 20, 18), ends=datetime(2027, 1, 2)),  # noqa: DTZ001 - the wall's
        ),
    ],
)
def test_a_window_is_given_to_the_rules_as_it_is_written(window: str, wanted: Window) -> None:
    """And a plan that was stored as JSON is the same plan."""
    plan, problems = read(window)
    assert problems == []
    assert plan is not None
    assert plan.windows.group("plan") == (wanted,)
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan


def test_a_plan_without_windows_has_no_group() -> None:
    """It is open at any time."""
    plan, _ = read_plan(MINIMAL, name="p.yaml")
    assert plan is not None
    assert plan.windows.group("plan") == ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("zone: UTC, owner: a", "windows.quietest.minutes: `minutes` is missing"),
        ("minutes: 4, zone: UTC, owner: a", "windows.quietest.minutes: `4` must be at least 5"),
        ("minutes: 1441, zone: UTC, owner: a", "windows.quietest.minutes: `1441` must be at most 1440"),
        ("minutes: 60, owner: a", "windows.quietest.zone: `zone` is missing"),
        ("minutes: 60, zone: CET, owner: a", "windows.quietest.zone: `CET` is not the name of a time zone"),
        ("minutes: 60, zone: UTC", "windows.quietest.owner: `owner` is missing"),
        (
            "minutes: 60, zone: UTC, owner: a, holidays: XX",
            "windows.quietest: the holidays of the country `XX` are not known. Write",
        ),
        ("minutes: 60, zone: UTC, owner: a, holidays: DE, subdivision: XX", "windows.quietest: `XX` is not a part of DE"),
        (
            "minutes: 60, zone: UTC, owner: a, subdivision: BE",
            "windows.quietest: `subdivision` is given without `holidays`. Write",
        ),
        ("minutes: 60, zone: UTC, owner: a, counter: 'x{a=\"b}'", 'windows.quietest.counter: the string "b} is not closed'),
        ("minutes: 60, zone: UTC, owner: a, counter: 'x{a=\"{version}\"}'", "windows.quietest.counter: `{version}` is of one version"),
    ],
)
def test_a_wrong_quietest_window_is_said_with_its_place_and_fix(fields: str, said: str) -> None:
    """Before anything is measured."""
    plan, problems = read_plan(f"{MINIMAL}windows: {{quietest: {{{fields}}}}}\n", name="p.yaml")
    assert plan is None
    assert any(said in str(problem) for problem in problems), list(map(str, problems))


def test_the_quietest_window_limits_a_plan_without_other_windows() -> None:
    """Its wait is one of the steps, and its course names it."""
    plan, problems = read_plan(f"{MINIMAL}windows: {{quietest: {{minutes: 60, zone: UTC, owner: ada}}}}\n", name="p.yaml")
    assert plan is not None, problems
    assert plan.windows.are_there()
    assert plan.windows.group("plan") == ()
    course = describe_course(plan, "1.1")
    assert any("begins in the quietest 60 min of the week by measured traffic (ask ada)." in line for line in course)
    assert not Plan.model_validate(plan.model_dump(mode="json") | {"windows": {}}).windows.are_there()


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ("ics: http://example.com/a.ics, zone: UTC", ".ics: this is not where a calendar can be. Write an address with https"),
        ("ics: webcal://example.com/a.ics, zone: UTC", ".ics: this is not where a calendar can be"),
        ('ics: "https://[::1/token", zone: UTC', ".ics: this is not where a calendar can be"),
        ('ics: "https://ada:pw@example.com/a.ics", zone: UTC', ".ics: this is not where a calendar can be"),
        ("ics: team.ics, zone: UTC", ".ics: this is not where a calendar can be"),
        ("ics: /srv/team.ics", ".zone: `zone` is missing"),
        ("ics: /srv/team.ics, zone: UTC, duration_minutes: 3", ".duration_minutes: the field `duration_minutes` is unknown"),
        ("holidays: NO, zone: UTC", '.holidays: `NO` is read as a number or as yes/no by YAML, but must be text. Put it in quotes: "NO"'),
        ("holidays: Germany, zone: UTC", ".holidays: `Germany` does not fit. Write the country's code of two letters"),
        ("holidays: XX, zone: UTC", ": the holidays of the country `XX` are not known. Write a country as in ISO 3166"),
        ("holidays: DE, subdivision: XX, zone: UTC", ": `XX` is not a part of DE with holidays of its own; these are: BB, BE"),
        ("holidays: DE, days_before: 8, zone: UTC", ".days_before: `8` must be at most 7"),
    ],
)
def test_a_wrong_calendar_or_holiday_is_said_with_its_place_and_fix(window: str, said: str) -> None:
    """Addresses, countries and their parts, and fields that another kind of window has."""
    plan, problems = read(window)
    assert plan is None
    assert any(f"windows.allow[0]{said}" in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        (
            'ics: "https://example.com/team.ics?a=b", zone: UTC',
            Window("allow", "UTC", "by the calendar", "whoever keeps the calendar", ics="https://example.com/team.ics?a=b"),
        ),
        ("ics: credential/team-calendar, zone: UTC, reason: a, owner: b", Window("allow", "UTC", "a", "b", ics="credential/team-calendar")),
        (
            "holidays: DE, subdivision: BE, days_before: 1, zone: UTC, owner: b",
            Window("allow", "UTC", "public holiday", "b", holidays=Holidays("DE", "BE", 1)),
        ),
        (
            'holidays: "NO", zone: UTC',
            Window("allow", "UTC", "public holiday", "whoever wrote the windows", holidays=Holidays("NO")),
        ),
    ],
)
def test_calendars_and_holidays_are_given_to_the_rules_as_they_are_written(window: str, wanted: Window) -> None:
    """And a plan that was stored as JSON is the same plan."""
    plan, problems = read(window)
    assert problems == []
    assert plan is not None
    assert plan.windows.group("plan") == (wanted,)
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan


def test_a_plan_without_approvers_cannot_ask() -> None:
    """It would wait in silence each time."""
    asks, none = "windows: {if_too_short: ask}\n", MINIMAL.replace("  approvers: [ada, grace]\n  quorum: 1\n", "  quorum: 0\n")
    assert read_plan(f"{MINIMAL}{asks}", name="p.yaml")[1] == []
    (problem,) = read_plan(f"{none}{asks}", name="p.yaml")[1]
    assert "windows: `if_too_short: ask` asks approvers, and the plan names none. Name them in `approval`" in str(problem)
