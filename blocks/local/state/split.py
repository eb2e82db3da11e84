"""How requests are dealt to the canary: exact shares in every small block of requests, in random order within the block."""

from __future__ import annotations

import math
from random import Random

ALL_PERCENT = 100


def deal(percent: int, random: Random) -> list[bool]:
    """Deal the next block of requests.

    The block is the shortest that can hold the share exactly: 10 requests for 10 %, 2 for 50 %. The order within it is random, because
    a fixed rhythm would fall in step with callers that alternate between a cheap and a dear request, and then compare unlike with unlike.

    Args:
        percent: The canary's share, 0 to 100.
        random: Source of the order.

    Returns:
        One entry a request, at most 100; True goes to the canary.
    """
    divisor = math.gcd(percent, ALL_PERCENT)
    block = [True] * (percent // divisor) + [False] * ((ALL_PERCENT - percent) // divisor)
    random.shuffle(block)
    return block
