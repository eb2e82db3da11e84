"""The picture of a week: what it draws it also says, without colour, and nothing that was not measured looks quiet."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.record.rhythm_picture import DAY_SLOTS, MOST_HIGH, Mark, Rhythm, rhythm_picture

SVG = "{http://www.w3.org/2000/svg}"
WEEK = [float(100 + number % 96) for number in range(7 * DAY_SLOTS)]
CHOSEN = Mark(1_590, 60, "02:30–03:30: 400", is_chosen=True)


def drawn(*, week: list[float | None] | None = None, marks: tuple[Mark, ...] = (CHOSEN,), closed: tuple[int, ...] = ()) -> Element:
    """Draw a week, and read it as XML."""
    svg = rhythm_picture(Rhythm("shop <&> \x00", "By the time of UTC.", week or list(WEEK), marks, closed), name="r")
    found: Element = ElementTree.fromstring(svg)
    return found


def texts(picture: Element) -> list[str]:
    """Give what is written in it."""
    return [one.text or "" for one in picture.iter(f"{SVG}text")]


def boxes(picture: Element, kind: str) -> list[Element]:
    """Give its frames and areas above the key."""
    found = [
        one for one in picture.iter(f"{SVG}rect") if kind in {one.get("class"), (one.get("fill") or "").removeprefix("url(#r-").rstrip(")")}
    ]
    return [one for one in found if one.get("width") != "18"]


def test_each_day_and_the_chosen_window_are_named() -> None:
    """Also for those who see no colours, or nothing."""
    picture = drawn()
    said = texts(picture)
    assert {"Mon", "Sun", "00:00", "24:00", "◆ 02:30–03:30: 400", "chosen"} <= set(said)
    assert "holiday" not in said
    assert "shop <&> " in said
    words = picture.find(f"{SVG}desc")
    assert words is not None
    assert words.text == "By the time of UTC.; Tue 02:30–03:30: 400 (chosen)."
    assert [round(float(one.get("x", "0"))) for one in boxes(picture, "chosen")] == [round(62 + 642 * 150 / 1_440)]


def test_a_window_over_midnight_is_framed_on_both_days() -> None:
    """And one over the end of the week at its beginning."""
    picture = drawn(marks=(Mark(6 * 1_440 + 23 * 60, 120, "23:00–Mon 01:00: 1"),))
    assert len(boxes(picture, "best")) == 2
    assert len({one.get("y") for one in boxes(picture, "best")}) == 2


def test_what_was_not_measured_and_what_is_closed_have_their_own_pattern() -> None:
    """The key explains what is there, and nothing else."""
    week: list[float | None] = list(WEEK)
    week[10:20] = [None] * 10
    picture = drawn(week=week, closed=tuple(range(96, 130)))
    assert len(boxes(picture, "hole")) == len(boxes(picture, "closed")) == 1
    assert {"not measured, which is not quiet", "closed in the coming week"} <= set(texts(picture))
    assert not {"not measured, which is not quiet", "closed in the coming week"} & set(texts(drawn()))


def test_holidays_have_a_row_of_their_own() -> None:
    """Below the week."""
    assert "holiday" in texts(drawn(week=[*WEEK, *WEEK[:DAY_SLOTS]]))


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), min_size=7 * DAY_SLOTS, max_size=7 * DAY_SLOTS))
def test_every_day_ends_on_its_floor_and_stays_in_its_row(week: list[float | None]) -> None:
    """Whatever was measured: the outline goes up and down by as much, and never higher than the row."""
    for path in drawn(week=week, marks=()).iter(f"{SVG}path"):
        steps = [float(one) for one in re.findall(r"v(-?[\d.e+-]+)", path.get("d", ""))]
        heights = [-sum(steps[: number + 1]) for number in range(len(steps))]
        assert heights[-1] == pytest.approx(0, abs=1e-6)
        assert all(-1e-6 <= one <= MOST_HIGH + 1e-6 for one in heights)


def test_it_is_small_enough_for_an_artifact() -> None:
    """And follows the reader's light or dark."""
    svg = rhythm_picture(Rhythm("shop", "By the time of UTC.", WEEK, [CHOSEN]), name="r")
    assert len(svg) < 20_000
    assert "@media (prefers-color-scheme:dark)" in svg
