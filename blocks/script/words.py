"""Rules of the script platform: what a command is filled with, what `status` says, and where that puts an environment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, NotRequired, TypedDict

from blocks.errors import BadInput, Permanent
from blocks.outside_text import said
from blocks.platform import Position
from blocks.processes import fill

Effect = Literal["deploy", "shift", "promote", "rollback"]
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,127}")
NONE_YET = "-"
ALL_PERCENT = 100
SHOWN = 200
WORDS_OF_A_SPLIT = 3
PLACEHOLDERS: Mapping[str, tuple[str, ...]] = {
    "deploy": ("service", "version", "previous"),
    "shift": ("service", "version", "previous", "percent"),
    "promote": ("service", "version", "previous"),
    "rollback": ("service", "version", "previous"),
    "verify": ("service", "version"),
    "status": ("service",),
    "counts": ("service",),
}
"""The names that are filled into each command."""
OWED: tuple[Effect, ...] = ("deploy", "shift", "promote")
"""What brings a version into service, in this order."""
ANY_PLACEHOLDER = re.compile(r"\{(service|version|previous|percent)\}")


class Act(NamedTuple):
    """One effect: what a script is to bring about.

    Fields:
        effect: Which command.
        version: The version under release.
        previous: The version that it replaces, which a rollback restores; "" if nothing ran before.
        percent: The share of a shift, else 0.
    """

    effect: Effect
    version: str
    previous: str
    percent: int = 0

    @property
    def is_forward(self) -> bool:
        """Whether it moves a release forward, and does not take something of it away."""
        return self.effect in {"deploy", "promote"} or (self.effect == "shift" and self.percent > 0)

    @property
    def step(self) -> str:
        """Name it without its version, in lower-case letters, digits and dashes: `shift-25`."""
        return f"shift-{self.percent}" if self.effect == "shift" else self.effect

    def values(self, service: str) -> dict[str, str]:
        """Give what is filled into its command."""
        return {"service": service, "version": self.version, "previous": self.previous, "percent": str(self.percent)}

    def __str__(self) -> str:
        """Name it for people: `shift 1.1 to 25 %`."""
        share = f" to {self.percent} %" if self.effect == "shift" else ""
        return f"{self.effect} {self.version}{share}" if self.effect != "rollback" else f"rollback from {self.version}"


class Running(NamedTuple):
    """What `status` printed: the version that serves, and, beside it, a canary with its share of the requests."""

    serves: str | None
    canary: str | None = None
    percent: int = 0


class Known(TypedDict):
    """What was noted of an environment.

    Fields:
        baseline, canary, previous: As in `blocks.platform.Position`.
        rollback: Whether the lease was taken over, as a rollback does.
        touched: Whether a script ran for the canary.
        promotes: Whether `promote` began for the canary.
        owed: What a rollback has still to run for the canary, in this order, whatever `status` says. What began last comes first, but
            `shift` is not owed any more once it exited with 0.
    """

    baseline: str | None
    canary: str | None
    previous: str | None
    rollback: NotRequired[bool]
    touched: bool
    promotes: NotRequired[bool]
    owed: NotRequired[list[Effect]]


def unknown_placeholders(name: str, command: Sequence[str]) -> list[str]:
    """List the placeholders of ours in a command that are not filled there, as `{percent}` in `deploy`."""
    found = (match[1] for word in command for match in ANY_PLACEHOLDER.finditer(word))
    return [f"{{{one}}}" for one in dict.fromkeys(found) if one not in PLACEHOLDERS[name]]


def filled(name: str, command: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Fill a command's placeholders; what stands in braces and is not known stays as it is, and nothing is filled twice."""
    allowed = {one: values[one] for one in PLACEHOLDERS[name] if one in values}
    return [fill(word, allowed) for word in command]


def check_version(version: str) -> None:
    """Expect a version that is safe in any argument, path or file.

    Raises:
        BadInput: It is not one.
    """
    if not VERSION.fullmatch(version):
        fix = "Use up to 128 letters, digits, dots, dashes, underscores and plus signs, beginning with a letter or digit"
        raise BadInput(f"{version[:40]!r} is not a version", field="version", fix=fix)


def read_status(output: str, *, splits: bool) -> Running:
    """Read what `status` printed: nothing or `-` if nothing runs, `1.0`, or with a split `1.0 1.1 25`.

    Args:
        output: Its standard output.
        splits: Whether the environment shifts shares, so that a canary may stand beside what serves.

    Raises:
        Permanent: It is something else.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    words = lines[0].split() if len(lines) == 1 else []
    versions = [None if word == NONE_YET else word for word in words[:2]]
    if not lines:
        return Running(None)
    if words and all(one is None or VERSION.fullmatch(one) for one in versions):
        if len(words) == 1:
            return Running(versions[0])
        share = words[2].removesuffix("%") if len(words) == WORDS_OF_A_SPLIT else ""
        if splits and share and versions[1] and re.fullmatch("[0-9]{1,3}", share) and int(share) <= ALL_PERCENT:
            return Running(versions[0], versions[1], int(share))
    wanted = "one line with the version that runs" + (", or `VERSION CANARY PERCENT`" if splits else "")
    raise Permanent(f"`status` printed {said(output, limit=SHOWN)!r}; it must print {wanted}, and nothing if none was deployed")


def fault_of(act: Act, seen: Running, *, splits: bool) -> str:
    """Say why an effect is not brought about yet, "" if it is, by what `status` printed."""
    wanted = Running(act.version)
    if act.effect == "rollback":
        wanted = Running(act.previous or None)
    elif splits and act.effect == "deploy" and seen.canary == act.version:
        return ""
    elif splits and act.effect in {"deploy", "shift"}:
        wanted = Running(seen.serves and (act.previous or None), act.version, act.percent)  # a baseline that crashed is named by nothing
    return "" if seen == wanted else f"`status` prints {in_words(seen)}, not {in_words(wanted)}"


def in_words(seen: Running) -> str:
    """Write what runs as `status` prints it."""
    serves = seen.serves or NONE_YET
    return f"`{serves}`" if seen.canary is None else f"`{serves} {seen.canary} {seen.percent}`"


def previous_after(known: Known, serves: str | None) -> str | None:
    """Give what is remembered as the previous version once another serves than was noted; what a rollback takes away never is.

    That a rollback brings the canary is said by what it owes: a lease that was taken over may have a release's canary.
    """
    if known.get("owed") and serves == known["canary"]:
        return None if known["previous"] == serves else known["previous"]
    return known["baseline"] or known["previous"]


def position_of(known: Known, seen: Running | None, *, splits: bool, owner: str | None, generation: int, fault: str = "") -> Position:
    """Say where an environment stands: by what runs, and by what was noted where that cannot say it.

    A `status` that names nothing is that of a service that crashed: the noted baseline stays the baseline, and what came before it, too.
    So it does if another version is named without a script of ours: the bad version may say so, and then a rollback would not act. With
    shares, in a rollback, a canary that was not noted does not count for the same reason, and what its scripts did is by their exit codes.

    Args:
        known: What was noted.
        seen: What `status` printed; None if it cannot be read.
        splits: Whether the environment shifts shares.
        owner: Who holds the lease.
        generation: The newest one.
        fault: Why `status` cannot be read.

    Returns:
        The position; nothing is said to be ready.
    """
    runs = seen or Running(None)
    serves, canary, percent = _by_shares(known, runs) if splits else _in_one_step(known, runs)
    trouble = fault if seen is None else _trouble(known, runs, splits=splits)
    position = Position(
        baseline=serves,
        canary=canary,
        percent=percent,
        ready={},
        previous=known["previous"] if serves in {None, known["baseline"]} else previous_after(known, serves),
        owner=owner,
        generation=generation,
    )
    if trouble:
        position["trouble"] = trouble
    if other := _instead(known, runs, splits=splits):
        position["instead"] = other
    return position


def _by_shares(known: Known, seen: Running) -> Running:
    """Give what serves and the canary: what `status` does not name, and a script acted for, is by the notes."""
    baseline, noted = known["baseline"], known["canary"]
    if _is_promoted(known, seen):
        return Running(seen.canary)
    if seen == Running(noted) != Running(None) and _may_serve_alone(known):
        return seen
    of_rollback = known.get("rollback") or known.get("owed")
    names_none = seen in {Running(None), Running(noted)} or (seen == Running(baseline) and known["touched"])
    if names_none or _is_strange(known, seen) or (of_rollback and (baseline, noted) != (None, None) and seen != Running(baseline)):
        return Running(baseline, noted, _share(known, seen))
    return seen if seen.serves or seen.canary == baseline else seen._replace(serves=baseline)


def _is_promoted(known: Known, seen: Running) -> bool:
    """Say whether the noted baseline is named as a canary with all requests: nothing retired what served before it."""
    return seen.percent == ALL_PERCENT and seen.canary == known["baseline"] and not known["touched"]


def _may_serve_alone(known: Known) -> bool:
    """Say whether the canary can have become what serves: not before it was shifted, and in a rollback not before `promote` began."""
    of_rollback = known.get("rollback") or known.get("owed")
    return "shift" not in known.get("owed", ()) and (not of_rollback or known.get("promotes", False))


def _share(known: Known, seen: Running) -> int:
    """Give the canary's share; a rollback's has none before its `deploy`, and all after its `shift`, whatever `status` says."""
    if is_shifted(known):
        return ALL_PERCENT
    return seen.percent if seen.canary == known["canary"] and OWED[0] not in known.get("owed", ()) else 0


def is_shifted(known: Known) -> bool:
    """Say whether a rollback's `shift` to 100 % exited with 0: then its canary has all requests, by what we ran ourselves."""
    return known["canary"] is not None and known.get("owed") == [*OWED[2:]]


def _in_one_step(known: Known, seen: Running) -> Running:
    if known["canary"] is None:
        return Running(known["baseline"] or seen.serves)
    return Running(known["baseline"], known["canary"], ALL_PERCENT if seen.serves == known["canary"] else 0)


def _is_strange(known: Known, seen: Running) -> bool:
    """Say whether `status` names a version that no script of ours brought, in the place of one that did."""
    return known["baseline"] is not None and seen.serves not in {None, known["baseline"], known["canary"]}


def _instead(known: Known, seen: Running, *, splits: bool) -> str:
    """Name what runs instead of the noted baseline, without a script of ours; "" if nothing does."""
    is_other = known["canary"] is None and _is_strange(known, seen) and not (splits and _is_promoted(known, seen))
    return (seen.serves or "") if is_other else ""


def _trouble(known: Known, seen: Running, *, splits: bool) -> str:
    """Say that none of the noted versions runs, unless nothing does and no script ran: a baseline that crashed can be released over."""
    baseline, canary = known["baseline"], known["canary"]
    if _instead(known, seen, splits=splits):
        return (
            f"`status` prints {in_words(seen)}, but {baseline} was deployed here last: others replaced it, or it says another name. "
            f"Deploy {baseline} again by hand, or roll back and name the bad version"
        )
    if canary is None or seen.serves in {baseline, canary} or (splits and seen != Running(None) and not _is_strange(known, seen)):
        return ""
    if seen.serves is None and not known["touched"]:
        return ""
    return f"{in_words(seen)} runs, neither the baseline {baseline or NONE_YET} nor the canary {canary}. Look at it, then roll back"


def progress_lines(service: str, position: Position) -> list[str]:
    """Say in a few lines what runs."""
    lines = [f"{service}: {position['baseline'] or 'nothing'} serves"]
    if position["canary"] is not None:
        lines.append(f"canary {position['canary']} gets {position['percent']} %")
    return [*lines, *([position["trouble"]] if "trouble" in position else [])]
