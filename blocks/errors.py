"""The one tree of errors. Each class says what its catcher should do.

ShipwayError
├── Temporary          try again, after `delay_seconds`
│   └── Unreachable    nobody answers there: try for minutes, as giving up would have to go back by the same way
└── Permanent          trying again is useless
├── BadInput       the caller's words are off: names the field and the fix
├── Refused        a policy says no: busy, not approved, outside a window
├── Superseded     a newer owner acts; stop without touching anything
├── WorldMoved     what is there is not what we left; stop and say so
└── RolloutFailed  the platform cannot run this version; carries its evidence
"""

from __future__ import annotations

from blocks.outside_text import outside

MESSAGE_LIMIT = 16_000


class ShipwayError(Exception):
    """Base of every error that Shipway raises on purpose.

    Args:
        message: What happened, for an operator. It may quote text from outside: it is cleaned here, so that no state, log or record
            refuses it.
    """

    def __init__(self, message: str = "") -> None:
        """Clean the message; it keeps its lines."""
        super().__init__(outside(message, limit=MESSAGE_LIMIT, lines=True))


class Temporary(ShipwayError):
    """Another try may help.

    Args:
        message: What happened, for an operator.
        delay_seconds: The earliest moment at which a try makes sense, from now.
    """

    def __init__(self, message: str, *, delay_seconds: float = 1.0) -> None:
        """Keep the delay beside the message."""
        super().__init__(message)
        self.delay_seconds = delay_seconds


class Unreachable(Temporary):
    """Whoever runs the environment does not answer; its servers may be starting again, which takes minutes."""


class Permanent(ShipwayError):
    """No further try can help until a person changes something."""


class BadInput(Permanent):
    """Something a person wrote is wrong.

    Args:
        message: What is wrong.
        field: The place, as the person knows it: `production.steps[2].percent`, `version`.
        fix: What to write instead.
    """

    def __init__(self, message: str, *, field: str, fix: str) -> None:
        """Say field, fault and fix in one line."""
        super().__init__(f"{field}: {message}. {fix}")
        self.field = field
        self.fix = fix


class Refused(Permanent):
    """A policy says no; nothing was moved."""


class Superseded(Permanent):
    """A newer owner acts on this environment; whoever sees this must stop at once."""


class WorldMoved(Permanent):
    """The environment is not as this release left it; somebody else changed it."""


class RolloutFailed(Permanent):
    """The platform cannot bring this version up.

    Args:
        message: The reason in one sentence, with its numbers.
        evidence: Lines worth reading: the last log lines, events, exit status.
    """

    def __init__(self, message: str, *, evidence: tuple[str, ...] = ()) -> None:
        """Keep the evidence for the record."""
        super().__init__(message)
        self.evidence = tuple(outside(line) for line in evidence)


def is_temporary(error: BaseException) -> bool:
    """Say whether another try may help."""
    return isinstance(error, Temporary)
