"""What ran before each version is kept beside the key where a release promoted it: a second rollback goes there."""

from __future__ import annotations

import pytest

from blocks.key_folder.kept_files import kept_names, kept_path
from tasks.record.before import FOLDER, MOST, find_before, keep_before
from tasks.rules.rollout.migrations import Here

HERE = Here("production", "kubernetes/shop", "kubernetes u-1")


@pytest.mark.parametrize(
    ("promoted", "version", "before"),
    [
        ([("1.8", None), ("1.9", "1.8"), ("2.0", "1.9")], "1.9", "1.8"),
        ([("1.8", None), ("1.9", "1.8"), ("2.0", "1.9")], "2.0", "1.9"),
        ([("1.9", "1.8")], "1.8", None),
        ([("1.9", "1.8"), ("2.0", "1.9"), ("1.9", "2.0")], "1.9", "2.0"),
        ([("1.9", "1.8"), ("1.9", None)], "1.9", "1.8"),
        ([("1.9", "1.8")], "1.9+config.a", "1.8"),
        ([("1.9+config.a", "1.8"), ("1.9+config.b", "1.9+config.a")], "1.9+config.b", "1.9+config.a"),
    ],
    ids=["older", "newest", "first", "again", "again, where a rollback brought it", "with a configuration", "another configuration"],
)
async def test_what_ran_before_a_version_is_what_its_last_promotion_replaced(
    promoted: list[tuple[str, str | None]], version: str, before: str | None
) -> None:
    """There, by the block or by what that points to, and nowhere else."""
    for name, replaced in promoted:
        await keep_before("shop", here=HERE, version=name, before=replaced)
    assert await find_before("shop", here=HERE, version=version) == before
    assert await find_before("shop", here=HERE._replace(block="kubernetes/new"), version=version) == before
    for other in (Here("production", "kubernetes/other", "kubernetes u-2"), HERE._replace(environment="staging")):
        assert await find_before("shop", here=other, version=version) is None


async def test_of_each_place_the_newest_are_kept_and_a_broken_file_says_nothing() -> None:
    """It grows no further; a release writes it anew."""
    for number in range(MOST + 2):
        await keep_before("shop", here=HERE, version=f"1.{number + 1}", before=f"1.{number}")
    assert await find_before("shop", here=HERE, version="1.2") is None
    assert await find_before("shop", here=HERE, version=f"1.{MOST + 2}") == f"1.{MOST + 1}"
    for name in kept_names(FOLDER):
        kept_path(FOLDER, name).write_bytes(b"x")
    assert await find_before("shop", here=HERE, version=f"1.{MOST + 2}") is None
    await keep_before("shop", here=HERE, version="2.0", before="1.9")
    assert await find_before("shop", here=HERE, version="2.0") == "1.9"


@pytest.mark.parametrize(
    ("version", "present", "before"),
    [("2.0", "b", "2.0+config.a"), ("2.0+config.a", "b", "1.0"), ("2.0", "a", "1.0"), ("2.0", "", "1.0"), ("2.0+config.c", "a", None)],
)
async def test_each_rollback_in_a_row_of_configuration_releases_goes_one_step_back(version: str, present: str, before: str | None) -> None:
    """Two configurations of a version have a version before each; what ran before one by its plain name is never itself."""
    await keep_before("shop", here=HERE, version="2.0", before="1.0", present="a")
    await keep_before("shop", here=HERE, version="2.0", before="2.0+config.a", present="b")
    assert await find_before("shop", here=HERE, version=version, present=present) == before
