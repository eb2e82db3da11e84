"""A wrong fix is worse than none: what is advised for a value of the wrong type can be followed, and helps."""

from __future__ import annotations

import pytest

from tests.rules.plan.test_file import problems_of

LIST, SECTION = "each entry in a line that begins with `- `", "`name: value` lines"
DIGITS = "in digits alone"
WRONG = [
    ("approvers: [ada, grace]", "approvers: linus", LIST),
    ("approvers: [ada, grace]", 'approvers: "linus, ken"', LIST),
    ("  - junit: reports/junit.xml", "  - command: make test", LIST),
    ("    - percent: 5\n", "    - 5\n", SECTION),
    ("rollback: {}", "rollback: yes", SECTION),
    ("path: /healthz", "path: /healthz\n      headers: Host shop", SECTION),
    ("percent: 50", "percent: 50%", DIGITS),
    ("percent: 50", "percent: 50.5", DIGITS),
    ("percent: 50", "percent: 5e1", DIGITS),
    ("quorum: 1", "quorum: '1'", DIGITS),
    ("indicator: errors}", "indicator: errors, tolerance: 2.5%}", "Write it as a ratio: 0.025."),
    ("indicator: errors}", "indicator: errors, deciding: 1}", "Write true or false, without quotes."),
    ("percent: 50", "percent: 50\n      watch_seconds: 90s", "Write a decimal number without quotes and without a unit"),
]


@pytest.mark.parametrize(("old", "new", "fix"), WRONG)
def test_the_fix_fits_the_type_that_is_wanted(old: str, new: str, fix: str) -> None:
    """Quotes and units are spoken of only where a number is wanted; there is one problem, and one fix."""
    problem, *others = problems_of(old, new)
    assert fix in problem.fix
    assert ("unit" in problem.fix) == (fix == DIGITS or fix.startswith("Write a decimal"))
    assert not others
