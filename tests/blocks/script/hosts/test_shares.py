"""Shares made by hosts, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput
from blocks.script.hosts.shares import Course, backward, batches, course, number_of, share_of

FOUR = ("web-1", "web-2", "web-3", "web-4")
HOSTS = st.integers(1, 300)


def names(number: int) -> tuple[str, ...]:
    """Name so many hosts."""
    return tuple(f"web-{one}" for one in range(1, number + 1))


@pytest.mark.parametrize(
    ("percent", "hosts", "number"),
    [(0, 4, 0), (25, 4, 1), (50, 4, 2), (100, 4, 4), (10, 10, 1), (33, 3, 1), (67, 3, 2), (1, 100, 1), (13, 8, 1), (100, 1, 1),
     (25, 200, 50), (99, 300, 297)],
)  # fmt: skip
def test_a_share_is_so_many_hosts(percent: int, hosts: int, number: int) -> None:
    """In whole percent."""
    assert number_of(percent, hosts) == number


@pytest.mark.parametrize(
    ("percent", "hosts", "fix"),
    [(25, 10, "Use 30 %, or 20 %"), (5, 4, "Use 25 %, which is one host"), (34, 3, "Use 67 %, or 33 %"), (99, 10, "Use 100 %, or 90 %"),
     (50, 1, "Use 100 %, which is one host")],
)  # fmt: skip
def test_a_share_that_hosts_cannot_make_is_refused_with_the_nearest(percent: int, hosts: int, fix: str) -> None:
    """What is judged is what was asked for: it is not rounded in silence."""
    with pytest.raises(BadInput, match=fix) as caught:
        number_of(percent, hosts)
    assert caught.value.field == "percent"


@pytest.mark.parametrize("percent", [-1, 101])
def test_what_is_not_a_share_is_refused(percent: int) -> None:
    """0 to 100."""
    with pytest.raises(BadInput, match="not a share"):
        number_of(percent, 4)


@given(HOSTS, st.integers(0, 100))
def test_a_share_that_is_made_reads_back_as_itself(hosts: int, percent: int) -> None:
    """And one that is refused is one that no number of hosts reads as."""
    if percent in {share_of(one, hosts) for one in range(hosts + 1)}:
        assert share_of(number_of(percent, hosts), hosts) == percent
    else:
        with pytest.raises(BadInput, match="not a whole number"):
            number_of(percent, hosts)


@given(HOSTS)
def test_shares_rise_with_the_hosts_and_only_none_and_all_are_0_and_100(hosts: int) -> None:
    """A canary on one host of a thousand is not nothing, and one host left is not all."""
    shares = [share_of(number, hosts) for number in range(hosts + 1)]
    assert shares == sorted(shares)
    assert (shares.count(0), shares.count(100)) == (1, 1)


@pytest.mark.parametrize(
    ("having", "number", "at_once", "wanted"),
    [
        ((), 1, 1, Course(deploys=(("web-1",),))),
        ((), 4, 3, Course(deploys=(("web-1", "web-2", "web-3"), ("web-4",)))),
        (("web-1",), 2, 4, Course(there=("web-1",), deploys=(("web-2",),))),
        (("web-2",), 2, 2, Course(there=("web-2",), deploys=(("web-1",),))),  # of a batch of two the first one failed
        (("web-1", "web-2"), 2, 1, Course(there=("web-1", "web-2"))),
        (("web-1", "web-2", "web-3"), 1, 2, Course(there=("web-1",), returns=(("web-3", "web-2"),))),
        (FOUR, 0, 1, Course(returns=(("web-4",), ("web-3",), ("web-2",), ("web-1",)))),
    ],
)
def test_the_next_hosts_are_the_first_without_it_and_the_last_ones_return(
    having: tuple[str, ...], number: int, at_once: int, wanted: Course
) -> None:
    """In batches."""
    assert course(FOUR, having, number, at_once=at_once) == wanted


@given(st.data(), st.integers(1, 30), st.integers(1, 8))
def test_a_course_leaves_so_many_hosts_and_acts_on_no_other(data: st.DataObject, hosts: int, at_once: int) -> None:
    """No host is acted on twice, none gets it and gives it up, and no batch is larger than allowed."""
    all_of_them = names(hosts)
    having, number = data.draw(st.sets(st.sampled_from(all_of_them))), data.draw(st.integers(0, hosts))
    found = course(all_of_them, having, number, at_once=at_once)
    deployed, returned = [one for batch in found.deploys for one in batch], [one for batch in found.returns for one in batch]
    assert len((having | set(deployed)) - set(returned)) == number
    assert set(deployed).isdisjoint(having)
    assert set(returned) <= having
    assert not (deployed and returned)
    assert len(set(deployed + returned)) == len(deployed + returned)
    assert all(0 < len(batch) <= at_once for batch in found.deploys + found.returns)


def test_a_rollback_is_in_reverse_on_those_that_were_touched() -> None:
    """Also by batches."""
    assert backward(FOUR, {"web-1", "web-3"}, at_once=1).returns == (("web-3",), ("web-1",))
    assert backward(FOUR, set(FOUR), at_once=3).returns == (("web-4", "web-3", "web-2"), ("web-1",))
    assert backward(FOUR, (), at_once=1) == Course()
    assert batches((), 3) == ()


@given(st.data(), st.integers(1, 12), st.integers(1, 4))
def test_however_hosts_fail_each_gets_it_once_and_none_behind_a_failure_does(data: st.DataObject, hosts: int, at_once: int) -> None:
    """A retry acts on those that failed, and then on those that were not begun."""
    all_of_them, done, number = names(hosts), set[str](), data.draw(st.integers(1, hosts))
    for _ in range(30):
        found = course(all_of_them, done, number, at_once=at_once)
        for batch in found.deploys:
            assert done.isdisjoint(batch)
            failing = data.draw(st.sets(st.sampled_from(batch))) if data.draw(st.booleans()) else set[str]()
            done |= set(batch) - failing
            if failing:
                break
        assert len(done) <= number
        assert done <= set(all_of_them[:number])
        if len(done) == number:
            return
