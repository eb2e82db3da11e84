"""What must be known of an environment's hosts before something moves."""

from __future__ import annotations

from collections.abc import Sequence

from blocks.errors import Permanent, Unreachable
from blocks.script.hosts.position import Answer, unknown


def expect_known(answers: Sequence[Answer], *, what: str) -> None:
    """Expect an answer of every host before something moves.

    Args:
        answers: Those of the hosts that are needed.
        what: What needs them, for people.

    Raises:
        Unreachable: Some did not give one, and may yet.
        Permanent: Some gave one that cannot be read.
    """
    if not (names := unknown(answers)):
        return
    faults = "; ".join(f"{one.host}: {one.fault}" for one in answers if one.running is None)
    message = f"{what} needs to know what every host runs, and of {', '.join(names)} it is not known: {faults}"
    if any(one.running is None and not one.may_pass for one in answers):
        raise Permanent(message)
    raise Unreachable(message, delay_seconds=5)


def expect_answers(answers: Sequence[Answer]) -> None:
    """Expect no fault that may pass: a connection that breaks for a moment is to be tried again, and not to end a release.

    Raises:
        Unreachable: Some host did not answer, and each fault may pass.
    """
    if all(one.running is not None or one.may_pass for one in answers):
        expect_known(answers, what="the position")
