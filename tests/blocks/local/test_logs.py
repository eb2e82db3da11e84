"""Log files of local revisions: their times, their bounds."""

import os
from pathlib import Path

from blocks.local.logs import log_path, read, stamp, tail


def write(folder: Path, text: str, *, revision: str = "1", version: str = "1.0") -> None:
    """Let a revision write."""
    path = log_path(folder, revision, version)
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(text)


def test_a_line_has_the_time_of_the_first_note_that_covers_it(tmp_path: Path) -> None:
    """Lines before a moment are told from lines after it."""
    write(tmp_path, "early\n")
    stamp(tmp_path, now=100)
    write(tmp_path, "late\n")
    stamp(tmp_path, now=200)
    assert [(line["at"], line["text"]) for line in read(tmp_path, 0, limit=10)] == [(100, "early"), (200, "late")]
    assert [line["text"] for line in read(tmp_path, 150, limit=10)] == ["late"]
    assert [line["text"] for line in read(tmp_path, 0, limit=1)] == ["late"]


def test_a_line_that_was_not_noted_yet_has_the_time_of_the_last_write(tmp_path: Path) -> None:
    """A reader need not wait for the next note."""
    write(tmp_path, "fresh\n")
    os.utime(log_path(tmp_path, "1", "1.0"), (300, 300))
    assert [(line["at"], line["version"]) for line in read(tmp_path, 250, limit=10)] == [(300, "1.0")]


def test_a_full_log_is_turned_over_and_the_writer_goes_on(tmp_path: Path) -> None:
    """Two files a revision bound its log; the open file of the service stays good, and lines keep their times."""
    path = log_path(tmp_path, "1", "1.0")
    path.parent.mkdir()
    with path.open("a") as service:
        for number in range(4):
            service.write(f"{number} " + "x" * 600 + "\n")
            service.flush()
            stamp(tmp_path, now=100 + number, max_bytes=1_000)
    assert path.stat().st_size <= 1_000
    assert path.with_name(path.name + ".1").stat().st_size <= 2_000
    assert [(line["at"], line["text"][0]) for line in read(tmp_path, 0, limit=10)] == [(102, "2"), (103, "3")]


def test_logs_of_revisions_long_gone_are_dropped_but_never_a_living_ones(tmp_path: Path) -> None:
    """The folder stays bounded over many releases."""
    for number in range(1, 11):
        write(tmp_path, "line\n", revision=str(number), version=f"1.{number}")
    stamp(tmp_path, now=100, alive={"1"})
    left = {path.name for path in (tmp_path / "logs").glob("*.log")}
    assert left == {"1-1.1.log", *(f"{number}-1.{number}.log" for number in range(5, 11))}


def test_the_tail_is_bounded_and_survives_odd_bytes(tmp_path: Path) -> None:
    """Evidence is short and readable whatever a service writes."""
    write(tmp_path, "first\n" + "y" * 10_000 + "\n")
    with log_path(tmp_path, "1", "1.0").open("ab") as file:
        file.write(b"\xff\xfe last")
    lines = tail(tmp_path, "1", "1.0", lines=2)
    assert [len(line) <= 4_000 for line in lines] == [True, True]
    assert lines[1].endswith("last")
    assert (lines[0][0], lines[0][-1]) == ("…", "…")  # what is cut shows it, so that half a secret is found
