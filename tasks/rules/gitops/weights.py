"""Weights in Git: what each commit of a canary sets, so that the weights of a rule are 100 together in each of them. Pure.

At rest Git gives all requests to the baseline's Service. A release moves from one share to the next by a commit each, and home by one,
whatever share it had come to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from blocks.errors import BadInput, WorldMoved
from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.message import Change, check_path
from tasks.rules.gitops.reviewed import Place
from tasks.rules.gitops.targets import YamlPath, parse_path

ALL = 100
Of = Literal["baseline", "canary"]


class WeightFields(Protocol):
    """A weight as a block has it; see `blocks/gitops/gitops.py` for what each field means."""

    @property
    def file(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def resource(self) -> str: ...  # noqa: D102
    @property
    def of(self) -> Of: ...  # noqa: D102


@dataclass(frozen=True)
class Shift:
    """A commit that gives the canary another share.

    Fields:
        change: The commit.
        before: The canary's share until then, in percent.
        after: Its share from then on; another one.
    """

    change: Change
    before: int
    after: int


def weight_edits(weights: Sequence[WeightFields], *, before: int, after: int) -> tuple[Edit, ...]:
    """Write the edits that give the canary another share; each expects the share from before.

    Args:
        weights: The block's `weights`.
        before: The canary's share until then, in percent.
        after: Its share from then on; the same one only expects it.

    Raises:
        BadInput: A file or a path is wrong; names `weights[N]` and the fix.
    """
    found: list[Edit] = []
    for number, one in enumerate(weights):
        try:
            check_path(one.file)
            parse_path(one.path)
        except BadInput as error:
            raise BadInput(error.wrong, field=f"weights[{number}].{error.field}", fix=error.fix) from None
        target = YamlPath(one.path, one.resource or None)
        value, expected = (_share(one.of, share) for share in (after, before))
        found.append(Edit(one.file, target, value, expected))
    return tuple(found)


def home_edits(shift: Shift, places: Sequence[Place]) -> tuple[Edit, ...]:
    """Write the edits that give all requests back to the baseline, from either side of a shift.

    Args:
        shift: The newest one, which may have been committed or not.
        places: What stands at the places of its edits.

    Raises:
        WorldMoved: The weights are none that this release has set, or do not belong together: another commit changed them.
    """
    sides = [_owners(edit, shift) for edit in shift.change.edits]
    values = [one.value for one in places]
    for share in (shift.after, shift.before, 0):
        if values == [str(_share(of, share)) for of in sides]:
            pairs = zip(shift.change.edits, sides, strict=True)
            return tuple(replace(edit, value=_share(of, 0), expected=_share(of, share)) for edit, of in pairs)
    wrong = next(
        (
            f"{one.file}:{one.line} says `{one.value}`"
            for one, of in zip(places, sides, strict=True)
            if one.value not in {str(_share(of, share)) for share in (shift.after, shift.before, 0)}
        ),
        "the weights do not belong together",
    )
    raise WorldMoved(f"{wrong}, and this release set the canary's share to {shift.after} %; another commit changed it")


def expect_home(places: Sequence[Place], weights: Sequence[WeightFields]) -> None:
    """Refuse to begin unless Git gives all requests to the baseline.

    Raises:
        WorldMoved: It does not; names file and line of each weight that says otherwise.
    """
    pairs = [(one, _share(weight.of, 0)) for one, weight in zip(places, weights, strict=True)]
    wrong = [f"{one.file}:{one.line} says `{one.value}`, not `{home}`" for one, home in pairs if one.value != str(home)]
    if wrong:
        fix = "Give the baseline the weight 100 and the canary 0, then release again"
        raise WorldMoved(f"Git does not give all requests to the baseline: {'; '.join(wrong)}. {fix}")


def changes_something(change: Change) -> bool:
    """Say whether a change sets a value that was not there when it was reviewed."""
    return any(str(edit.expected) != str(edit.value) for edit in change.edits)


def _owners(edit: Edit, shift: Shift) -> Of:
    """Say whose weight an edit sets: a share and the rest of it are the same only for 50, and a shift leads away from its share."""
    return "canary" if (edit.expected, edit.value) == (shift.before, shift.after) else "baseline"


def _share(of: Of, share: int) -> int:
    return share if of == "canary" else ALL - share
