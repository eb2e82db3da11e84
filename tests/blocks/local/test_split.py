"""How requests are dealt to the canary."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.local.state.split import deal


@given(percent=st.integers(0, 100), seed=st.integers())
def test_every_block_holds_the_share_exactly(percent: int, seed: int) -> None:
    """No rounding: of a block's requests exactly the share goes to the canary."""
    block = deal(percent, Random(seed))
    assert sum(block) * 100 == percent * len(block)
    assert 1 <= len(block) <= 100


@given(percent=st.integers(0, 100), seed=st.integers(), requests=st.integers(0, 1_000))
def test_any_number_of_requests_is_near_the_share(percent: int, seed: int, requests: int) -> None:
    """The canary's count is never off by more than what one block can hold back."""
    random, dealt = Random(seed), list[bool]()
    while len(dealt) < requests:
        dealt += deal(percent, random)
    assert abs(sum(dealt[:requests]) - requests * percent / 100) <= 25


@pytest.mark.parametrize(
    ("percent", "requests", "expected"), [(10, 50, 5), (5, 100, 5), (25, 8, 2), (50, 10, 5), (1, 200, 2), (100, 7, 7), (0, 7, 0)]
)
def test_round_shares_of_small_numbers_are_exact(percent: int, requests: int, expected: int) -> None:
    """10 % of 50 requests are 5, on every day."""
    random, dealt = Random(1), list[bool]()
    while len(dealt) < requests:
        dealt += deal(percent, random)
    assert sum(dealt[:requests]) == expected


def test_the_order_does_not_fall_in_step_with_alternating_callers() -> None:
    """At 50 % a caller that alternates between two pages shows both to the canary."""
    random = Random(1)
    dealt = [chosen for _ in range(200) for chosen in deal(50, random)]
    assert 60 < sum(dealt[::2]) < 140
