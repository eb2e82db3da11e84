"""Rules of shares made by hosts: how many hosts make a percentage, which they are, and in which order they are acted on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from blocks.errors import BadInput
from blocks.script.words import ALL_PERCENT


class Course(NamedTuple):
    """Which hosts an effect acts on.

    Fields:
        there: Those that run the canary already, and are only asked again, in the list's order.
        deploys: Batches of those that get it, in the list's order; the next begins once all of the one before have done it.
        returns: Batches of those that return to the baseline, in reverse.
    """

    there: tuple[str, ...] = ()
    deploys: tuple[tuple[str, ...], ...] = ()
    returns: tuple[tuple[str, ...], ...] = ()


def share_of(number: int, hosts: int) -> int:
    """Give the share of `number` of so many hosts in whole percent, half up; 0 and 100 are none and all of them alone."""
    if number in {0, hosts}:
        return ALL_PERCENT if number else 0
    return min(ALL_PERCENT - 1, max(1, (2 * ALL_PERCENT * number + hosts) // (2 * hosts)))


def number_of(percent: int, hosts: int) -> int:
    """Say how many of so many hosts make a share.

    Raises:
        BadInput: It is not a share, or no number of hosts makes it; names the nearest that can be made.
    """
    if not 0 <= percent <= ALL_PERCENT:
        raise BadInput(f"{percent} % is not a share", field="percent", fix="Give 0 to 100")
    number = (2 * percent * hosts + ALL_PERCENT) // (2 * ALL_PERCENT)
    for near in (number, number - 1, number + 1):
        if 0 <= near <= hosts and share_of(near, hosts) == percent:
            return near
    made = [share_of(one, hosts) for one in range(hosts + 1)]
    below, above = max(one for one in made if one < percent), min(one for one in made if one > percent)
    message = f"{percent} % of {hosts} hosts is not a whole number of hosts"
    fix = f"Use {above} %, or {below} %" if below else f"Use {above} %, which is one host"
    raise BadInput(message, field="percent", fix=fix)


def batches(hosts: Sequence[str], at_once: int) -> tuple[tuple[str, ...], ...]:
    """Divide hosts into batches of so many, in order; the last one may be smaller."""
    return tuple(tuple(hosts[begin : begin + at_once]) for begin in range(0, len(hosts), at_once))


def course(hosts: Sequence[str], having: Collection[str], number: int, *, at_once: int, left_out: Collection[str] = ()) -> Course:
    """Say what makes so many hosts run the canary: the first of the list that do not get it, or the last that do give it up.

    Args:
        hosts: All of them, in the list's order.
        having: Those that run it.
        number: How many are to run it.
        at_once: The most that are acted on at the same time.
        left_out: Those that the canary's release goes on without: they have had their turn, and are not acted on.
    """
    had = [host for host in hosts if host in having or host in left_out]
    others = [host for host in hosts if host not in had]
    there, returning = ([host for host in part if host not in left_out] for part in (had[:number], had[number:]))
    return Course(
        there=tuple(there),
        deploys=batches(others[: max(0, number - len(had))], at_once),
        returns=batches(returning[::-1], at_once),
    )


def reached(having: int, left_out: int, hosts: int) -> int:
    """Give the share that a canary has in percent: hosts that were left out have had their turn, but alone they are none of it.

    Args:
        having: How many hosts run it.
        left_out: How many its release goes on without.
        hosts: How many there are.
    """
    return share_of(having + left_out, hosts) if having else 0


def backward(hosts: Sequence[str], touched: Collection[str], *, at_once: int) -> Course:
    """Say in which order a rollback acts: on all that a script touched, in reverse."""
    return Course(returns=batches([host for host in reversed(hosts) if host in touched], at_once))
