"""What a release would change: kept within bounds, with what no one expects first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.rollout.preview import LONGEST_LINE, MOST_LINES, bounded_preview, preview_lines, refusals


def test_what_others_changed_comes_before_what_the_release_changes() -> None:
    """A refusal first of all; each line says where."""
    staging = bounded_preview(changes=["image: 1 → 2"], notes=["no release left it"])
    production = bounded_preview(changes=["image: 1 → 2"], drift=["replicas: 1 → 2"], refused="Owned: image belongs to argocd")
    assert preview_lines({"staging": staging, "production": production}) == [
        "production would refuse it: Owned: image belongs to argocd",
        "production, changed by others since the last release: replicas: 1 → 2",
        "staging, would change: image: 1 → 2",
        "production, would change: image: 1 → 2",
        "staging, note: no release left it",
    ]
    assert refusals({"staging": staging, "production": production}) == "production would refuse it: Owned: image belongs to argocd"
    assert refusals({"staging": staging}) == ""
    assert preview_lines({}) == []


@given(st.lists(st.text(max_size=2 * LONGEST_LINE), max_size=3), st.integers(0, 2 * MOST_LINES))
def test_a_preview_is_bounded_and_counts_what_it_leaves_out(lines: list[str], more: int) -> None:
    """However much a cluster says, the record takes a bounded piece of it, and says that it is one."""
    every = [*lines, *(["x"] * more)]
    kept = bounded_preview(changes=every)["changes"]
    assert all(len(line) <= LONGEST_LINE for line in kept)
    assert len(kept) <= MOST_LINES + 1
    assert (kept[-1] == f"… and {len(every) - MOST_LINES} more") if len(every) > MOST_LINES else len(kept) == len(every)
