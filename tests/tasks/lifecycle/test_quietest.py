"""What is kept of a service's quietest time: it decides when production opens, so others cannot write it, and what is broken is closed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from blocks.errors import Refused
from blocks.key_folder.kept_files import kept_path
from blocks.key_folder.key_file import create_key, key_path
from flows.lifecycle import quietest
from tasks.approval.windows import groups_now
from tasks.lifecycle.clock import now
from tasks.lifecycle.freezes import what_holds
from tasks.lifecycle.quietest import (
    FOLDER,
    KeptQuietest,
    forget_quietest,
    keep_quietest,
    measured_services,
    quietest_in_words,
    read_quietest,
    replace_quietest,
)
from tasks.rules.analysis.request_counter import asked_in
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.receivers import Receiver
from tasks.rules.windows.opening import look
from tasks.rules.windows.quietest import Chosen
from tests.rules.analysis.test_quietest import SCRAPED, asking
from tests.rules.rollout.test_steps import plan_of


@pytest.fixture(autouse=True)
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Give a key folder of the test, and a plan that asks for its quietest hour."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    return asking(plan_of(), SCRAPED)


def kept_of(plan: Plan, *, minute: int = 150, days_ago: float = 0, fault: str = "") -> KeptQuietest:
    """Measure so many days ago."""
    at = now() - timedelta(days=days_ago)
    chosen = Chosen(asked=asked_in(plan), at=at, minute=minute, expected=10, most=12, weeks=8, decides=True, needed=1)
    settings = {"url": "http://127.0.0.1:9090", "bearer_token": "hush"}
    return KeptQuietest(
        plan=plan.model_dump(mode="json"), prometheus=settings, rates={"production": 0.1}, probe_minutes={"production": 3.0},
        chosen=chosen, tried=at, fault=fault,
    )  # fmt: skip


def said(plan: Plan) -> tuple[bool, str]:
    """Say if production ever opens, and why not."""
    seen = look(groups_now(plan, []), now())
    return seen.until is not None, "; ".join(one.reason for one in seen.because)


def test_what_was_measured_is_the_window(plan: Plan) -> None:
    """Beside the plan's other windows, and encrypted, as it holds the token of Prometheus."""
    assert said(plan) == (False, said(plan)[1])
    assert "was not measured on this machine" in said(plan)[1]
    keep_quietest(plan.service, kept_of(plan))
    assert said(plan) == (True, "the quietest 60 min of the week by measured traffic in which a canary can be judged")
    theirs = plan.model_copy(update={"production": plan.production.model_copy(update={"platform": "local/of-another-plan"})})
    assert f"was measured for {plan.production.platform}" in said(theirs)[1]
    assert measured_services() == [plan.service]
    assert b"hush" not in kept_path(FOLDER, plan.service).read_bytes()
    assert quietest_in_words(plan.service).startswith("Mon 02:30–03:30 Europe/Berlin")


def rewritten(path: Path) -> None:
    """Write what whoever has no key can write."""
    path.write_bytes(b'{"chosen": {"minute": 0}}')


BROKEN: dict[str, Callable[[Path], object]] = {
    "another's": lambda path: shutil.copy(kept_path(FOLDER, "other"), path),
    "rewritten": rewritten,
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "writable by others": lambda path: path.chmod(0o622),
    "another key": lambda _: (key_path().unlink(), create_key(key_path())),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_broken_or_forged_is_closed(plan: Plan, how: str) -> None:
    """It says which file; and nothing that the server or another service has takes its place."""
    keep_quietest("other", kept_of(plan, minute=0))
    keep_quietest(plan.service, kept_of(plan))
    before = what_holds(plan.service)
    BROKEN[how](kept_path(FOLDER, plan.service))
    opens, why = said(plan)
    assert not opens
    assert f"{plan.service}.kept" in why
    assert what_holds(plan.service) != before
    with pytest.raises(Refused):
        read_quietest(plan.service)


@pytest.mark.parametrize(("days_ago", "opens"), [(0, True), (9, True), (13.9, True), (14.1, False), (-2, False)])
def test_the_last_good_one_counts_for_two_weeks(plan: Plan, days_ago: float, *, opens: bool) -> None:
    """Not longer, and not from a clock that is ahead."""
    keep_quietest(plan.service, kept_of(plan, days_ago=days_ago, fault="Prometheus does not answer"))
    assert said(plan)[0] is opens
    if days_ago > 14:
        assert "could not be measured since: Prometheus does not answer" in said(plan)[1]


def test_a_plan_that_asks_for_something_else_is_closed(plan: Plan) -> None:
    """Until it is measured; and one that names no counter says so."""
    keep_quietest(plan.service, kept_of(plan))
    assert "another length" in said(asking(plan_of(), SCRAPED, minutes=90))[1]
    assert "a platform's own counts have no history" in said(asking(plan_of()))[1]


def test_a_release_that_waits_is_woken_if_it_moves(plan: Plan) -> None:
    """Or is known, or is too old; not if it is measured again and stays."""
    names = [what_holds(plan.service)]
    for kept in (kept_of(plan), kept_of(plan, days_ago=3, fault="no answer"), kept_of(plan, minute=0), kept_of(plan, days_ago=15)):
        keep_quietest(plan.service, kept)
        names.append(what_holds(plan.service))
    assert [one != other for one, other in pairwise(names)] == [True, False, True, True]


def test_what_a_person_measured_meanwhile_is_not_overwritten(plan: Plan) -> None:
    """The keeper takes seconds to measure."""
    old, new = kept_of(plan), kept_of(plan, minute=0)
    keep_quietest(plan.service, old)
    keep_quietest(plan.service, new)
    assert not replace_quietest(plan.service, old, kept_of(plan, minute=15))
    assert read_quietest(plan.service) == new
    later = [kept_of(plan, minute=minute) for minute in range(15, 255, 15)]
    with ThreadPoolExecutor(8) as pool:
        kept = [*pool.map(lambda after: replace_quietest(plan.service, new, after), later)]
    assert [after for after, is_kept in zip(later, kept, strict=True) if is_kept] == [read_quietest(plan.service)], "one of many at once"
    forget_quietest(plan.service)
    assert read_quietest(plan.service) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for another user")
def test_what_sudo_measures_belongs_to_whoever_has_the_folder(plan: Plan) -> None:
    """Else the worker could not read it."""
    os.chown(key_path().parent, 12_345, -1)
    keep_quietest(plan.service, kept_of(plan))
    path = kept_path(FOLDER, plan.service)
    assert {one.stat().st_uid for one in (path.parent, *path.parent.iterdir())} == {12_345}, "the file, its folder and its lock"


async def test_who_has_a_least_severity_or_hours_is_told_as_the_plan_says(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver of the plan may be more than a name."""
    told: list[tuple[object, ...]] = []

    async def announce(receivers: Sequence[object], **_: str) -> bool:
        told.append(tuple(receivers))
        return True

    monkeypatch.setattr(quietest, "announce", announce)
    asked = plan.model_copy(update={"notify": ["apprise/team", Receiver(to="apprise/owners", at_least="warning")]})
    kept = kept_of(asked).model_copy(update={"untold": "the window moved"})
    keep_quietest(plan.service, kept)
    await quietest._tell(plan.service, kept, now())
    assert told == [tuple(asked.notify)]
    assert read_quietest(plan.service).untold == ""
