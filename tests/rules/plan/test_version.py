"""Versions, reasons and paths are safe before anything sees them."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput
from tasks.rules.plan.paths import inside
from tasks.rules.plan.version import check_version, in_range


@pytest.mark.parametrize("version", ["1.1", "v2.4.1", "1.0.0-rc.1+build.5", "a" * 128, "20260101_1"])
def test_a_plain_version_passes(version: str) -> None:
    """Letters, digits and . _ + - are a version."""
    assert check_version(version) == version


@pytest.mark.parametrize(
    "version",
    [
        "",
        " ",
        "1 2",
        "1;reboot",
        "$(id)",
        "`id`",
        "1|2",
        "1&2",
        "-1",
        "--help",
        "1\n",
        "1\x00",
        "\x1b[31m1",
        "a" * 129,
        "1..2",
        "../1",
        "a/b",
        "é",
        "1\u202e2",
    ],
)
def test_a_version_that_could_do_harm_is_refused(version: str) -> None:
    """Shell, control and path characters, options, and lengths beyond 128 are refused with a fix."""
    with pytest.raises(BadInput, match="Write letters"):
        check_version(version)


@given(st.text(max_size=140))
def test_what_passes_is_plain(text: str) -> None:
    """Nothing passes that a shell or a path would read otherwise."""
    try:
        version = check_version(text)
    except BadInput:
        return
    assert version.isascii()
    assert not set(version) & set(" \t\n/\\;&|$`'\"<>(){}[]*?!~#%^=,:@")
    assert not version.startswith("-")


@pytest.mark.parametrize(
    ("version", "fits"), [("2.1", True), ("v2.9.3", True), ("3.0", False), ("2.0.9", False), ("2.2rc1", True), ("2.1.0-rc.1", False)]
)
def test_a_range_is_kept_to(version: str, fits: bool) -> None:  # noqa: FBT001
    """A version lies in a range or not, a pre-release by its number."""
    assert in_range(version, ">=2.1,<3") is fits


@pytest.mark.parametrize(("version", "specifier"), [("latest", ">=2"), ("", ">=2"), ("2", "=>2"), ("2", "about 2")])
def test_an_unreadable_version_or_range_is_refused(version: str, specifier: str) -> None:
    """What cannot be ordered is an error, not a guess."""
    with pytest.raises(BadInput):
        in_range(version, specifier)


@pytest.mark.parametrize("path", ["", "/etc/passwd", "..", "../x", "a/../../x", "~/x", "-x", "a\\b", "a\x00b", "a\nb"])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    """Absolute paths, ways up and characters that tools read otherwise are refused."""
    with pytest.raises(BadInput):
        inside(PurePosixPath("/srv/plan"), path)


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "/", ""]), max_size=8))
def test_what_passes_stays_inside(parts: list[str]) -> None:
    """No mixture of names, dots and slashes leads out."""
    root = PurePosixPath("/srv/plan")
    try:
        found = inside(root, "/".join(parts))
    except BadInput:
        return
    assert found.is_relative_to(root)
    assert ".." not in found.parts
