"""Which step of a release is under way, in words, from its record."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby

from tasks.rules.record.entries import Entry, select
from tasks.rules.rollout.steps import PlannedStep, done_in, paths_of

WORDS = {"pre_deploy": "pre-deploy", "post_deploy": "post-deploy", "gate": "approval", "window": "wait for the window"}


def progress_in_words(entries: Sequence[Entry]) -> str:
    """Say which step of how many a release is at, `step 9 of 14: watch 25 % in production`, from its record.

    Args:
        entries: The record so far; the review holds the steps, and what its newest round did counts.

    Returns:
        The steps under way, one for each target of a wave; "" before the review, when all are done, and once a rollback began.
    """
    reviews = select(entries, kind="review")
    if not reviews or any(entry.kind in {"rollback", "closed"} for entry in entries):
        return ""
    review = reviews[-1]
    steps = [PlannedStep.model_validate(one) for one in review.evidence.get("steps", ())]
    done = set(done_in(steps, select(entries, round=review.round), version=str(review.evidence.get("version", ""))))
    for _, wave in groupby(steps, key=lambda step: step.wave):
        ahead = [step for path in paths_of(list(wave)) for step in _ahead(path, done)[:1]]
        if ahead:
            return f"step {steps.index(ahead[0]) + 1} of {len(steps)}: {', '.join(map(words_of, ahead))}"
    return ""


def words_of(step: PlannedStep) -> str:
    """Name a step for people in a line of progress: `watch 25 % in production`."""
    share = "" if step.percent is None else f" {step.percent} %"
    named = f" {step.name}" if step.name and step.kind not in {"window", "ticks"} else ""
    words = WORDS.get(step.kind, step.name if step.kind == "ticks" else step.kind)
    if step.kind == "verify" and step.percent == 0:
        words, share = "verify the canary before its traffic", ""
    return f"{words}{named}{share}{f' in {step.environment}' if step.environment else ''}"


def _ahead(path: Sequence[PlannedStep], done: Collection[PlannedStep]) -> Sequence[PlannedStep]:
    """Give the steps of a path behind the last one that is done."""
    return path[max((number for number, step in enumerate(path, start=1) if step in done), default=0) :]
