"""How a release ends, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.outside_text import ENDING_LIMIT, as_ending
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.ending import STATE_NAMES, Ending, final_outcome
from tasks.rules.lifecycle.results import RollbackResult
from tasks.rules.record.entries import chain, outcome_of

NAMES = st.sampled_from(["deployed", "refused", "failed", "cancelled", "stopped"])
ENDINGS = st.builds(Ending, NAMES, st.sampled_from(["the canary fails", "no approval came"]))
BACK = st.builds(
    RollbackResult,
    outcome=st.sampled_from([Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.NO_DATA]),
    reason=st.sampled_from(["it is back on 1.0", "it does not answer"]),
    environment=st.sampled_from(["production", "staging"]),
    version=st.none(),
)


def back(environment: str, outcome: str = "passed", *, stays: bool = False) -> RollbackResult:
    """Make the result of one rollback."""
    return RollbackResult(outcome=Outcome(outcome), reason=f"{environment} is back", environment=environment, version=None, stays=stays)


@pytest.mark.parametrize(
    ("name", "rolled_back", "outcome"),
    [
        ("deployed", [], "deployed"),
        ("refused", [], "refused"),
        ("refused", [back("staging")], "refused"),
        ("cancelled", [back("production"), back("staging")], "cancelled"),
        ("failed", [], "failed"),
        ("failed", [back("staging")], "failed"),
        ("failed", [back("production")], "rolled_back"),
        ("failed", [back("production"), back("staging")], "rolled_back"),
        ("stopped", [], "rolled_back"),
        ("failed", [back("production", "failed")], "failed"),
        ("cancelled", [back("production", "error")], "failed"),
        ("refused", [back("staging", "no_data")], "failed"),
        ("refused", [back("staging", stays=True)], "refused"),
        ("cancelled", [back("staging", stays=True)], "cancelled"),
        ("failed", [back("staging", stays=True)], "failed"),
        ("failed", [back("production"), back("staging", stays=True)], "rolled_back"),
        ("failed", [back("production", stays=True), back("staging", stays=True)], "failed"),
    ],
)
def test_an_ending_gets_its_name(name: Any, rolled_back: list[RollbackResult], outcome: str) -> None:
    """Rolled back is only what moved in production and is back."""
    assert final_outcome(Ending(name, "so it is"), rolled_back=rolled_back)[0] == outcome


@pytest.mark.parametrize("name", ["refused", "cancelled", "failed"])
def test_a_first_release_that_ends_in_staging_raises_no_alarm(name: Any) -> None:
    """An environment that had no earlier version is not a failed rollback (helm#5143)."""
    _, sentence = final_outcome(Ending(name, as_ending("ada rejected")), rolled_back=[back("staging", stays=True)])
    assert sentence == "ada rejected. Staging is back; production was not touched"


@given(ENDINGS, st.lists(BACK, min_size=1, max_size=2))
def test_what_was_rolled_back_is_deployed_only_by_its_own_word(ending: Ending, rolled_back: list[RollbackResult]) -> None:
    """No rollback turns another ending into a deployment."""
    outcome, _ = final_outcome(ending, rolled_back=rolled_back)
    assert (outcome == "deployed") == (ending.name == "deployed")


@given(ENDINGS, st.lists(BACK, max_size=2))
def test_a_lost_rollback_is_always_said_loudly(ending: Ending, rolled_back: list[RollbackResult]) -> None:
    """Where the service may not be well, the outcome is failed and the sentence says to look."""
    if ending.name != "deployed" and any(not one.passed for one in rolled_back):
        outcome, sentence = final_outcome(ending, rolled_back=rolled_back)
        assert outcome == "failed"
        assert "look at the service now" in sentence


@given(ENDINGS, st.lists(BACK, max_size=2))
def test_the_sentence_begins_with_the_reason(ending: Ending, rolled_back: list[RollbackResult]) -> None:
    """Who reads only the state's message knows why."""
    assert final_outcome(ending, rolled_back=rolled_back)[1].startswith(ending.reason)


@given(ENDINGS, st.lists(BACK, max_size=2))
def test_every_outcome_has_a_state_and_a_place_in_the_record(ending: Ending, rolled_back: list[RollbackResult]) -> None:
    """What a closing entry says is read back as the same outcome."""
    outcome, why = final_outcome(ending, rolled_back=rolled_back)
    entry = chain(
        None, at=datetime(2026, 1, 1, tzinfo=UTC), kind="closed", who="shipway", what="Done", why=why,
        evidence={"outcome": outcome},
    )  # fmt: skip
    assert outcome in STATE_NAMES
    assert outcome_of([entry]) == outcome


@pytest.mark.slow
@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.FAILED])
def test_a_long_reason_leaves_room_for_what_became_of_the_service(outcome: Outcome) -> None:
    """The sentence is cut at its end, where the rollback stands: that is what people must read."""
    back = RollbackResult(outcome=outcome, reason=as_ending("production runs 1.0"), environment="production", version=None)
    long = Ending("failed", as_ending("x" * 2 * ENDING_LIMIT))
    assert as_ending(final_outcome(long, rolled_back=[back])[1]).lower().endswith("production runs 1.0")


@given(ENDINGS)
def test_an_ending_is_read_back_from_its_entry(ending: Ending) -> None:
    """A process that comes after a crash ends for the same reason."""
    entry = chain(
        None, at=datetime(2026, 1, 1, tzinfo=UTC), name="decision", kind="rollback", who="shipway", what="Goes back", why=ending.reason,
        evidence={"ending": ending.name},
    )  # fmt: skip
    assert Ending.from_entry(entry) == ending
