"""Server-side dry run: what a release would change."""

from __future__ import annotations

from collections.abc import Sequence

from blocks.errors import BadInput
from blocks.kubernetes.objects.config import Configuration, changed_configuration
from blocks.kubernetes.objects.diff import diff
from blocks.kubernetes.observe.drift import drift
from blocks.kubernetes.preview.planned import Planned
from blocks.kubernetes.workload import Target
from blocks.kubernetes.write import apply
from blocks.platform import Preview

NO_DRY_RUN = "does not support dry run"


async def preview(target: Target, planned: Sequence[Planned]) -> Preview:
    """Dry-run every object that a release would apply, and compare.

    Args:
        target: The workload.
        planned: What would be applied, from `preview.planned`.

    Raises:
        ShipwayError: The cluster would refuse it (an ownership conflict, admission, missing rights, a wrong manifest), or does not answer.
    """
    changes: list[str] = []
    found: list[str] = []
    notes: list[str] = []
    for one in planned:
        try:
            would_be = await apply(target, one.kind, one.body, dry_run=True)
        except BadInput as error:
            if NO_DRY_RUN not in str(error):
                raise
            notes.append(f"{one.kind} {one.name}: the changes are not known: an admission webhook does not support dry runs")
            continue
        lines = diff(one.live, would_be, kind=one.kind, name=one.name)
        changes += [f"{line}, and removed at the end" for line in lines] if one.live is None and one.name == target.canary else lines
        if (one.kind, one.name) == (target.kind, target.workload) and one.live is not None:
            changes += changed_configuration(one.live["spec"]["template"], Configuration(target.config, target.config_parts))
            found, unknown = await drift(target, {**one.live, "kind": one.kind})
            notes += unknown
    return Preview(changes=changes, drift=found, notes=notes)
