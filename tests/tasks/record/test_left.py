"""What a rollback left is kept beside the key where it was left, until a release promotes it there."""

from __future__ import annotations

import pytest

from blocks.key_folder.heads import Head, keep_head
from blocks.key_folder.kept_files import kept_names, kept_path
from tasks.record.left import FOLDER, _written, find_last, find_left, forget_left, keep_left, note_over, note_release, unkeep_left
from tasks.rules.rollout.left import Left
from tasks.rules.rollout.migrations import Here

HERE = Here("production", "kubernetes/shop", "kubernetes u-1")
RENAMED = Here("production/eu", "kubernetes/new", "kubernetes u-1")
ELSEWHERE = Here("production", "kubernetes/other", "kubernetes u-2")
STAGING = Here("staging", "kubernetes/shop", "kubernetes u-1")


async def left(version: str, serves: str = "1.9", *, run: str = "r1", here: Here = HERE) -> None:
    """Keep that a version was left."""
    await keep_left("shop", here=here, version=version, serves=serves, run=run)


async def test_a_version_is_left_where_it_was_left_by_block_or_by_what_that_points_to() -> None:
    """Each version stays left, the last one also without its name; a version is asked for with its configuration or without."""
    await left("2.0+config.a")
    await left("2.1", "1.8", run="r2")
    for here in (HERE, RENAMED):
        last = await find_left("shop", here=here)
        assert last is not None
        assert str(last).startswith("1.8 serves since the rollback r2 of 20")
        assert str(last).endswith(" UTC, which left 2.1")
        for version in ("2.0", "2.0+config.a", "2.1"):
            assert await find_left("shop", here=here, version=version) is not None, version
    for here in (ELSEWHERE, STAGING):
        assert await find_left("shop", here=here) is None
        assert await find_left("shop", here=here, version="2.1") is None
    assert await find_left("shop", here=HERE, version="2.0+config.b") is None
    assert await find_left("other", here=HERE, version="2.1") is None


async def test_a_promotion_ends_it_for_its_own_version_alone() -> None:
    """What serves then serves since no rollback; other versions that were left stay so."""
    await left("2.0")
    await left("2.1")
    await forget_left("shop", here=ELSEWHERE, versions=["2.1"])
    assert await find_left("shop", here=HERE) is not None
    await forget_left("shop", here=HERE, versions=["2.1"])
    assert await find_left("shop", here=HERE) is None
    assert await find_left("shop", here=HERE, version="2.1") is None
    assert await find_left("shop", here=HERE, version="2.0") is not None


async def test_a_rollback_that_failed_takes_back_its_own_files_alone() -> None:
    """What it was about last stays, for who asks again; what another one left stays left."""
    await left("2.0+config.a", run="r1")
    last = await find_left("shop", here=HERE)
    assert last is not None
    await unkeep_left("shop", here=HERE, left=last._replace(run="r2"))
    assert await find_left("shop", here=HERE, version="2.0") is not None
    await unkeep_left("shop", here=HERE, left=last)
    for version in ("2.0", "2.0+config.a"):
        assert await find_left("shop", here=RENAMED, version=version) is None, version
    assert await find_left("shop", here=HERE) == last


async def test_when_a_rollback_was_over_is_kept_apart_from_when_it_chose() -> None:
    """By the last one there alone; whether it is open is what its record's head says."""
    await left("2.0", run="r1")
    await note_over("shop", here=HERE, run="r2")
    before = await find_left("shop", here=RENAMED)
    await note_over("shop", here=HERE, run="r1")
    after = await find_left("shop", here=RENAMED)
    assert before is not None
    assert after is not None
    assert (before.over, after.at, after.is_open) == (None, before.at, False)
    assert after.over is not None
    keep_head("r1", Head(1, "x"))
    assert (await find_left("shop", here=HERE) or after).is_open
    keep_head("r1", Head(2, "y", closed=True))
    assert await find_left("shop", here=HERE) == after


async def test_a_release_of_what_the_last_rollback_was_to_bring_back_is_known_of_it() -> None:
    """Nothing else of it changes; where none was, nothing is kept, and the canary of another version says whose it is."""
    await note_release("shop", here=HERE, version="1.9")
    assert await find_left("shop", here=HERE) is None
    await keep_left("shop", here=HERE, version="2.0", serves="1.9", run="r1", brought=["1.9"])
    before = await find_left("shop", here=HERE)
    assert before is not None
    await note_release("shop", here=HERE, version="2.1")
    assert await find_left("shop", here=HERE) == before
    await note_release("shop", here=HERE, version="1.9")
    assert await find_left("shop", here=HERE) == before._replace(is_released=True)
    assert await find_left("shop", here=HERE, version="2.0") == before


async def test_a_version_that_differs_from_what_serves_in_its_configuration_is_left_by_its_whole_name() -> None:
    """The other one is asked for by the plain name."""
    await left("2.0+config.b", "2.0+config.a")
    assert await find_left("shop", here=HERE, version="2.0+config.b") is not None
    assert await find_left("shop", here=HERE, version="2.0") is None


async def test_a_configuration_that_was_left_by_its_plain_name_is_not_the_one_that_has_this_name_by_now() -> None:
    """A ConfigMap was put back. Beside another version each configuration was left, and what an earlier version kept is known by name."""
    await keep_left("shop", here=HERE, version="2.0", serves="2.0+config.b", run="r1", configuration="a")
    found = {
        (version, present): await find_left("shop", here=HERE, version=version, present=present) is not None
        for version in ("2.0", "2.0+config.a", "2.0+config.b") for present in ("", "a", "b")
    }  # fmt: skip
    assert {asked for asked, is_left in found.items() if is_left} == {
        ("2.0", ""), ("2.0", "a"), ("2.0+config.a", ""), ("2.0+config.a", "a"), ("2.0+config.a", "b"),
    }  # fmt: skip
    await keep_left("shop", here=HERE, version="2.0", serves="1.9", run="r2", configuration="a")
    assert await find_left("shop", here=HERE, version="2.0", present="b") is not None
    await keep_left("shop", here=HERE, version="2.0", serves="2.0+config.b", run="r3")
    assert await find_left("shop", here=HERE, version="2.0", present="b") is not None


async def test_a_file_of_an_earlier_version_says_nothing_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read as it was."""
    written = _written
    monkeypatch.setattr(
        "tasks.record.left._written", lambda one: {name: value for name, value in written(one).items() if name != "configuration"}
    )
    await keep_left("shop", here=HERE, version="2.0", serves="1.9", run="r1", configuration="a")
    last = await find_left("shop", here=HERE)
    assert last is not None
    assert (last.version, last.serves, last.configuration) == ("2.0", "1.9", "")


async def test_a_file_that_cannot_be_read_still_says_that_its_version_was_left() -> None:
    """As after the loss of the key; what serves since when is not known then."""
    await left("2.0")
    for name in kept_names(FOLDER):
        kept_path(FOLDER, name).write_bytes(b"x")
    found = await find_left("shop", here=HERE, version="2.0")
    assert found is not None
    assert found.run == ""
    assert await find_left("shop", here=HERE) is None


async def test_the_last_one_is_about_the_baseline_if_it_left_that_as_well() -> None:
    """A second rollback leaves what the first one brought, and the baseline still; another one's version is not taken for its own."""
    await left("1.9", "1.8", run="r2")
    await left("2.0", "1.8", run="r2")
    for baseline, version in (("2.0", "2.0"), ("1.9", "1.9"), ("3.0", "2.0"), (None, "2.0")):
        last = await find_last("shop", here=HERE, baseline=baseline)
        assert last is not None
        assert (last.version, last.serves, last.run) == (version, "1.8", "r2")
    await left("1.8", "1.7", run="r3")
    last = await find_last("shop", here=HERE, baseline="2.0")
    assert last is not None
    assert last.version == "1.8"


async def test_if_the_last_one_cannot_be_read_the_one_counts_that_left_the_baseline() -> None:
    """A promotion forgets both."""
    await left("2.0", run="r1")
    await forget_left("shop", here=HERE, versions=[])
    assert await find_left("shop", here=HERE) is None
    last = await find_last("shop", here=HERE, baseline="2.0")
    assert last is not None
    assert last.run == "r1"
    assert await find_last("shop", here=HERE, baseline="2.1") is None
    await forget_left("shop", here=HERE, versions=["2.0"])
    assert await find_last("shop", here=HERE, baseline="2.0") is None


async def test_a_release_of_any_version_that_rollbacks_brought_is_noted() -> None:
    """A canary of it is the release's then."""
    await keep_left("shop", here=HERE, version="2.0", serves="1.8", run="r2", brought=["1.9", "1.8"])
    await note_release("shop", here=HERE, version="1.7")
    assert not (await find_left("shop", here=HERE) or Left("", "", "", is_released=True)).is_released
    await note_release("shop", here=HERE, version="1.9")
    assert (await find_left("shop", here=HERE) or Left("", "", "")).is_released
