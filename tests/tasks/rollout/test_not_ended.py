"""What a rollback could not end stands in its result, which the record, the page and the message to people quote."""

from __future__ import annotations

import pytest

from blocks.errors import BadInput
from tasks.rollout.not_ended import with_not_ended
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.results import RollbackResult
from tests.tasks.fake_platform import FakePlatform

FOUND = RollbackResult(outcome=Outcome.PASSED, reason="production is back on 1.0", environment="production", version="1.0")


class Leaving(FakePlatform):
    """A platform of programs."""

    names: tuple[str, ...] = ()
    fault = ""

    async def not_ended(self) -> list[str]:
        """Name them."""
        if self.fault:
            raise BadInput(self.fault, field="folder", fix="Put it back")
        return list(self.names)


async def test_what_could_not_be_ended_is_named_in_the_result_of_the_rollback() -> None:
    """With its host; the outcome is that of the rollback."""
    platform = Leaving()
    platform.names = ("12 (sleep) on web-1", "13 (tar) on web-2")
    found = await with_not_ended(FOUND, platform)
    assert found.reason == "production is back on 1.0. COULD NOT BE ENDED, and may act on: 12 (sleep) on web-1, 13 (tar) on web-2"
    assert (found.outcome, found.version) == (Outcome.PASSED, "1.0")


@pytest.mark.parametrize("platform", [FakePlatform(), Leaving()], ids=["it runs no programs", "all were ended"])
async def test_a_result_stays_as_it_is_if_nothing_is_left(platform: FakePlatform) -> None:
    """Of most platforms, too."""
    assert await with_not_ended(FOUND, platform) == FOUND


async def test_notes_that_cannot_be_read_fail_no_rollback() -> None:
    """The log says that it is not known."""
    platform = Leaving()
    platform.fault = "state.json cannot be read"
    assert await with_not_ended(FOUND, platform) == FOUND
