"""Log files of local revisions: their times, their bounds."""

import os
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.local import log_lines
from blocks.local.logs import log_path, read, stamp, tail
from blocks.platform import LogLine


def write(folder: Path, text: str, *, revision: str = "1", version: str = "1.0") -> None:
    """Let a revision write."""
    path = log_path(folder, revision, version)
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(text)


def lines_in(folder: Path, since: float) -> list[LogLine]:
    """List the lines since a moment."""
    found: list[LogLine] = []
    read(folder, since, found.append)
    return found


def test_a_line_has_the_time_of_the_first_note_that_covers_it(tmp_path: Path) -> None:
    """Lines before a moment are told from lines after it."""
    write(tmp_path, "early\n")
    stamp(tmp_path, now=100)
    write(tmp_path, "late\n")
    stamp(tmp_path, now=200)
    assert [(line["at"], line["text"]) for line in lines_in(tmp_path, 0)] == [(100, "early"), (200, "late")]
    assert [line["text"] for line in lines_in(tmp_path, 150)] == ["late"]


def test_a_line_that_was_not_noted_yet_has_the_time_of_the_last_write(tmp_path: Path) -> None:
    """A reader need not wait for the next note."""
    write(tmp_path, "fresh\n")
    os.utime(log_path(tmp_path, "1", "1.0"), (300, 300))
    assert [(line["at"], line["version"]) for line in lines_in(tmp_path, 250)] == [(300, "1.0")]


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
    assert [(line["at"], line["text"][0]) for line in lines_in(tmp_path, 0)] == [(102, "2"), (103, "3")]


def test_what_is_lost_of_a_log_is_said_if_it_was_asked_for(tmp_path: Path) -> None:
    """A log that is turned over twice has lost what it said first; whoever asks for what came later misses nothing."""
    for number in range(1, 4):
        write(tmp_path, "x" * 1_200 + "\n")
        stamp(tmp_path, now=100 * number, max_bytes=1_000)
        os.utime(log_path(tmp_path, "1", "1.0").with_name("1-1.0.log.1.times"), (100 * number, 100 * number))
        lost = read(tmp_path, 50, lambda _: None)
        assert ("1.0 was turned over twice" in lost.get("1.0", "")) is (number > 1)
    assert read(tmp_path, 250, lambda _: None) == {}


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


def texts(folder: Path, since: float = 0) -> list[str]:
    """Read what the lines say."""
    return [line["text"] for line in lines_in(folder, since)]


def test_a_line_counts_before_its_newline_is_there_and_once_however_often_it_is_read(tmp_path: Path) -> None:
    """It is read again with what was added to it, as one line, and has the time of its last part."""
    write(tmp_path, "fine\nERROR orders")
    stamp(tmp_path, now=100)
    assert texts(tmp_path) == ["fine", "ERROR orders"]
    write(tmp_path, " lost")
    stamp(tmp_path, now=200)
    assert texts(tmp_path) == ["fine", "ERROR orders lost"]
    assert [(line["at"], line["text"]) for line in lines_in(tmp_path, 150)] == [(200, "ERROR orders lost")]
    write(tmp_path, "\nnext\n")
    assert texts(tmp_path) == ["fine", "ERROR orders lost", "next"]


@pytest.mark.parametrize("length", [3_000, 70_000, 6_000_000])
@pytest.mark.parametrize("ending", ["", "\n", "\nINFO fine\n"])
def test_the_beginning_of_a_long_line_is_read(tmp_path: Path, length: int, ending: str) -> None:
    """Its first 64 kB, with a sign that it was cut; whatever comes behind it."""
    write(tmp_path, "ERROR orders lost " + "A" * length + ending)
    stamp(tmp_path, now=100)
    first, *rest = texts(tmp_path)
    assert first.startswith("ERROR orders lost AAA")
    assert (len(first), first[-1]) == ((length + 18, "A") if length < log_lines.HEAD_BYTES else (log_lines.HEAD_BYTES + 1, "…"))
    assert rest == (["INFO fine"] if "INFO" in ending else [])


def test_the_beginning_of_a_line_outlives_files_that_are_turned_over_within_it(tmp_path: Path) -> None:
    """Each time; the line stays one, and what begins after it is another one."""
    write(tmp_path, "fine\nERROR orders lost ")
    for number in range(5):
        write(tmp_path, "A" * 2_000)
        stamp(tmp_path, now=100 + number, max_bytes=1_000)
        assert [text[:20] for text in texts(tmp_path)] == (["fine"] if number == 0 else []) + ["ERROR orders lost AA"]
    write(tmp_path, "\nnext " + "B" * 2_000 + "\n")
    stamp(tmp_path, now=200, max_bytes=1_000)
    assert [text[:20] for text in texts(tmp_path)] == ["ERROR orders lost AA", "next " + "B" * 15]
    write(tmp_path, "last\n")
    assert [text[:20] for text in texts(tmp_path, 150)] == ["ERROR orders lost AA", "next " + "B" * 15, "last"]


@pytest.mark.slow
def test_reading_takes_bounded_memory(tmp_path: Path) -> None:
    """One line of 30 MB, and 100,000 empty ones."""
    for revision, content in (("1", "ERROR " + "A" * 30_000_000), ("2", "\n" * 100_000)):
        write(tmp_path, content, revision=revision)
    tracemalloc.start()
    try:
        texts_of = Counter[str]()
        read(tmp_path, 0, lambda line: texts_of.update([line["text"][:5]]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert texts_of == {"ERROR": 1, "": 100_000}
    assert peak < 80_000_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(parts=st.lists(st.text("AE\n", max_size=40), max_size=12), chunk=st.integers(1, 9), head=st.integers(1, 9))
def test_lines_are_those_of_the_file_however_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[str], chunk: int, head: int
) -> None:
    """Heads, cuts and ends fit the file's content for every size of the chunks."""
    monkeypatch.setattr(log_lines, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(log_lines, "HEAD_BYTES", head)
    content = "".join(parts).encode()
    path = tmp_path / "log"
    path.write_bytes(content)
    *whole, rest = content.split(b"\n")
    found = list(log_lines.lines_of(path, begin=0))
    assert [line.head for line in found] == [line[:head] for line in whole] + ([rest[:head]] if rest else [])
    assert [line.is_cut for line in found] == [len(line) > head for line in whole] + ([len(rest) > head] if rest else [])
    assert [line.is_open for line in found] == [False] * len(whole) + ([True] if rest else [])
    assert not found or found[-1].end == len(content)
    assert log_lines.open_head(path) == rest[:head]
    for offset in range(len(content) + 1):
        assert log_lines.begin_of_line(path, offset) == content.rfind(b"\n", 0, offset) + 1
