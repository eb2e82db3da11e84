"""What people are told of hosts that a release went on without."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.rules.record.entries import Entry
from tasks.rules.rollout.left_out import left_out_in_words, serves_in_words, with_hosts
from tests.rules.approval.test_script_failure import skipped


def left(host: str, by: str = "ada", *, place: str = "production", **other: Any) -> Entry:
    """Write the decision."""
    evidence = {"left_out": host, "of_hosts": 4, "by": [by], **other}
    return skipped(environment=place, name=f"script-host-{place}-deploy-on-{host}-1 decision", evidence=evidence)


ENTRIES = [left("web-3"), left("web-4", "ben"), left("stage-2", place="staging", of_hosts=2)]


def test_a_version_is_said_to_serve_with_the_hosts_that_it_does_not_serve_on() -> None:
    """And with who left them out."""
    assert serves_in_words([left("web-3")]) == "1.1 serves on 3 of 4 hosts; web-3 was left out by ada"
    assert serves_in_words(ENTRIES) == (
        "1.1 serves on 2 of 4 hosts; web-3, web-4 were left out by ada, ben. "
        "staging: 1.1 serves on 1 of 2 hosts; stage-2 was left out by ada"
    )
    assert left_out_in_words(ENTRIES[1:]) == "web-4 is left out in production by ben; stage-2 is left out in staging by ada"
    assert serves_in_words([]) == left_out_in_words([]) == ""


@pytest.mark.parametrize(
    ("outcome", "stays", "said"),
    [
        ("deployed", (), "1.1 serves on 3 of 4 hosts; web-3 was left out by ada. why"),
        ("partly_deployed", ("production",), "1.1 serves on 3 of 4 hosts; web-3 was left out by ada. why"),
        ("partly_deployed", ("production/eu",), "why"),
        ("rolled_back", (), "why"),  # it is restored
    ],
)
def test_no_end_with_the_version_there_is_said_without_them(outcome: str, stays: tuple[str, ...], said: str) -> None:
    """Once."""
    found = with_hosts("why", [left("web-3")], outcome=outcome, stays=stays)
    assert found == said
    assert with_hosts(found, [left("web-3")], outcome=outcome, stays=stays) == said
