"""The picture of a week's traffic with its quietest windows, and what stands above it on its page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime

from tasks.rules.analysis.quietest import closed_slots
from tasks.rules.analysis.rhythm import SLOTS, Slot, best_of_each_day, quiet_windows
from tasks.rules.record.rhythm_picture import Mark, Rhythm, rhythm_picture
from tasks.rules.windows.opening import Group
from tasks.rules.windows.quietest import DAY_MINUTES, Chosen, chosen_in_words, span_in_words


def draw_week(
    title: str,
    week: Sequence[Slot | None],
    *,
    minutes: int,
    zone: str,
    groups: Sequence[Group],
    at: datetime,
    holidays: str = "",
    chosen: Chosen | None = None,
) -> str:
    """Draw a week, with the quietest window of each day.

    Args:
        title: Whose traffic.
        week: Its profile.
        minutes: How long the windows are.
        zone: By whose wall.
        groups: Production's windows.
        at: Now (UTC).
        holidays: Whose public holidays are a day of their own; "" for none.
        chosen: The window that was chosen.

    Returns:
        SVG text.
    """
    windows = quiet_windows(week, minutes=minutes)
    taken = [one for one in windows if chosen is not None and one.minute == chosen.minute]
    others = [one for one in best_of_each_day(windows) if all(one.minute // DAY_MINUTES != own.minute // DAY_MINUTES for own in taken)]
    marks = [
        Mark(one.minute, one.minutes, f"{span_in_words(one.minute, minutes)[4:]}: {one.expected:,.0f}", is_chosen=one in taken)
        for one in sorted([*taken, *others], key=lambda one: one.minute)
    ]
    weeks = max((slot.weeks for slot in week[:SLOTS] if slot), default=0)
    apart = f"; public holidays of {holidays} are a day of their own" if holidays else ""
    note = f"By the time of {zone}, on average of {weeks} week{'' if weeks == 1 else 's'}{apart}."
    means = [None if slot is None else slot.mean for slot in week]
    why = "chosen: the quietest that can be judged" if chosen and chosen.quietest else "chosen"
    return rhythm_picture(Rhythm(title, note, means, marks, closed_slots(groups, at, zone=zone), why), name="rhythm")


def page_of(service: str, chosen: Chosen, picture: str, *, at: datetime) -> str:
    """Write the page of a service's quietest window, in Markdown."""
    image = base64.b64encode(picture.encode()).decode()
    counters = "\n".join(f"- {name}: `{counter}`" for name, counter in chosen.asked.counters.items())
    return (
        f"# Quietest window of {service}\n{chosen_in_words(chosen, at)}.\n\n"
        f"![The traffic of a week, and its quietest windows](data:image/svg+xml;base64,{image})\n\n"
        f"Production changes only in the chosen window, within all other windows. Measured were:\n{counters}\n"
    )
