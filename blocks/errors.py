"""Errors: one tree, in which each class names what its catcher should do.

ShipwayError
├── Temporary          try again, after `delay_seconds`
│   └── Unreachable    the endpoint does not answer: retry for minutes, because a rollback needs the same endpoint
└── Permanent          trying again is useless
├── BadInput       the input is wrong: names the field and the fix
├── Refused        a policy refuses it: busy, not approved, outside a window
│   └── Skipped        what was scheduled is not done: its time has passed
├── Superseded     a newer owner holds the lease; stop without changing anything
├── WorldMoved     the environment is not as we left it; stop and report it
│   └── Tampered       what was remembered was changed by others; do not go by it
└── RolloutFailed  the platform cannot run this version; carries its evidence
    └── ScriptFailed   its script failed, and may be run again if the plan or people say so
"""

from __future__ import annotations

from typing import TypeVar

from blocks.outside_text import said

MESSAGE_LIMIT = 16_000
Error = TypeVar("Error", bound="ShipwayError")


class ShipwayError(Exception):
    """Base of every error that Shipway raises on purpose.

    Args:
        message: What happened, for an operator. It may quote text from outside: it is cleaned here, so that no state, log or record
            refuses it, and none shows a secret of this process.
    """

    is_in_words = True
    """Whether its words say all that its class does, see `error_text`."""
    refuses_credentials = False
    """Whether what was asked refused the credentials, see `refusing`."""

    def __init__(self, message: str = "") -> None:
        """Clean the message; it keeps its lines."""
        super().__init__(said(message, limit=MESSAGE_LIMIT, lines=True))


def refusing(error: Error) -> Error:
    """Mark an error as a refusal of the credentials themselves: 401, 403, Git's `authentication failed`.

    A rollback then tries those that the block has by now; for no other error, as what does not answer for a moment refuses nothing.
    """
    error.refuses_credentials = True
    return error


class Temporary(ShipwayError):
    """Temporary: a retry may help.

    Args:
        message: What happened, for an operator.
        delay_seconds: How long to wait before the retry.
    """

    def __init__(self, message: str, *, delay_seconds: float = 1.0) -> None:
        """Keep the delay beside the message."""
        super().__init__(message)
        self.delay_seconds = delay_seconds


class Unreachable(Temporary):
    """The API server or agent does not answer; it may be restarting, which takes minutes."""


class Permanent(ShipwayError):
    """Permanent: a retry is useless until a person changes something."""


class BadInput(Permanent):
    """Bad input: a plan, block, parameter or manifest is wrong.

    Args:
        message: What is wrong.
        field: The place, as the person wrote it: `production.steps[2].percent`, `version`.
        fix: What to write instead.
    """

    def __init__(self, message: str, *, field: str, fix: str) -> None:
        """Join field, fault and fix in one line."""
        super().__init__(f"{field}: {message}. {fix}")
        self.wrong = message
        self.field = field
        self.fix = fix


class Refused(Permanent):
    """Refused by a policy; nothing was changed."""


class Skipped(Refused):
    """Skipped: what was scheduled is not done, as its time has passed; that is not a fault, and nothing stays changed."""


class Superseded(Permanent):
    """Fenced out: a newer owner holds the lease of this environment; stop at once."""


class WorldMoved(Permanent):
    """The environment is not as this release left it; something else changed it."""


class Tampered(WorldMoved):
    """What was remembered in the storage is not what this installation wrote there; do not go by it, and find out who changed it."""


class RolloutFailed(Permanent):
    """Rollout failed: this version does not become ready on the platform.

    Args:
        message: The reason in one sentence, with its numbers.
        evidence: The last log lines, events and exit status.
    """

    def __init__(self, message: str, *, evidence: tuple[str, ...] = ()) -> None:
        """Keep the evidence for the record."""
        super().__init__(message)
        self.evidence = tuple(said(line) for line in evidence)


class ScriptFailed(RolloutFailed):
    """Script failed: one that moves a release forward; it may be run again if the plan or people say so.

    Args:
        message: As in `RolloutFailed`.
        evidence: As in `RolloutFailed`.
        act: What it was to bring about, for people and programs: `shift 1.1 to 25 %`.
        step: The same without the version, in lower-case letters, digits and dashes: `shift-25`.
        runs: How often it failed in this release.
        lines: The last lines that it printed.
        left: What it had started and could not be ended, each as `id (name)`.
        host: The host on which it failed, if the release may go on without it; else "".
        hosts: How many hosts its environment has, if it has any.
    """

    def __init__(
        self, message: str, *, evidence: tuple[str, ...], act: str, step: str, runs: int, lines: tuple[str, ...],
        left: tuple[str, ...] = (), host: str = "", hosts: int = 0,
    ) -> None:  # fmt: skip
        """Keep what failed beside the message."""
        super().__init__(message, evidence=evidence)
        self.act, self.step, self.runs, self.left = act, step, runs, tuple(said(one) for one in left)
        self.host, self.hosts = host, hosts
        self.lines = tuple(said(line) for line in lines)
