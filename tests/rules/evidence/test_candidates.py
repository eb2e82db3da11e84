"""Candidates: the newest by version of the tags that match, if it is newer than all that runs."""

from __future__ import annotations

import pytest

from blocks.errors import BadInput
from tasks.rules.evidence.candidates import begun_before, none_ready, pattern_fault, waiting

TAGS = ["v1.2.0", "v1.10.0", "v1.9.0", "v1.11.0rc1", "vnext", "shop-v2.0.0", "v1.3.0-x..y", "v"]


def test_the_newest_is_the_newest_by_version_and_not_by_its_text() -> None:
    """Pre-releases only where they are asked for; a tag that is not a version of the template does not count."""
    assert waiting(TAGS, pattern="v*", template="v{version}", running=["1.2.0"]).versions == ["1.10.0", "1.9.0"]
    with_early = waiting(TAGS, pattern="v*", template="v{version}", running=["1.2.0"], pre_releases=True)
    assert with_early.versions == ["1.11.0rc1", "1.10.0", "1.9.0"]
    assert with_early.unordered == ["vnext"]
    assert waiting(TAGS, pattern="shop-*", template="shop-v{version}", running=[None]).versions == ["2.0.0"]


def test_only_what_is_newer_than_every_target_waits() -> None:
    """A target that is ahead would be rolled back else."""
    assert waiting(TAGS, pattern="v1.9*", template="v{version}", running=["1.2.0", "1.10.0"]).versions == []
    assert waiting(TAGS, pattern="v*", template="v{version}", running=["1.9.0+config.0f3a9c21b7", None]).versions == ["1.10.0"]


def test_what_runs_must_be_a_version_that_can_be_ordered() -> None:
    """Else an older one could take its place."""
    with pytest.raises(BadInput, match="cannot be ordered as a version"):
        waiting(TAGS, pattern="v*", template="v{version}", running=["main-abc"])


@pytest.mark.parametrize(("pattern", "fits"), [("v*", True), ("shop-v[0-9]*", True), ("", False), ("v*; rm", False), ("v*\n", False)])
def test_a_pattern_holds_what_tags_hold(pattern: str, fits: bool) -> None:  # noqa: FBT001 - a table
    """And the signs of a pattern."""
    assert (pattern_fault(pattern) is None) is fits


def test_a_version_that_once_ran_or_failed_is_left_to_people() -> None:
    """So is one that people rejected. A refusal or a skip may be tried again."""
    assert begun_before(["refused", "skipped"]) == ""
    assert begun_before(["skipped", "rolled_back"]) == "rolled_back"
    assert begun_before(["deployed"]) == "deployed"
    assert begun_before(["refused", "rejected"]) == "rejected"


def test_it_says_why_nothing_is_released() -> None:
    """Of each candidate that was tried, else that none waits."""
    found = waiting(TAGS, pattern="v*", template="v{version}", running=["1.10.0"])
    assert none_ready(found, {}, pattern="v*") == (
        "nothing waits: no tag `v*` is newer than what runs in production (vnext cannot be ordered as versions)"
    )
    assert none_ready(found, {"1.11": "no tests", "1.10": "no change"}, pattern="v*") == "1.11: no tests; 1.10: no change"
