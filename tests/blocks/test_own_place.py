"""Two blocks cannot lead to one environment under two identities."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from blocks.errors import BadInput
from blocks.local.agent.launch import ensure_agent
from blocks.local.platform import LocalPlatform
from blocks.own_place import expect_own_place

OTHER = 65534
by_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a mount, or a folder of another user")


@by_root
def test_a_path_into_another_mount_namespace_is_the_folder_that_is_compared(tmp_path: Path) -> None:
    """Its text says one folder and the kernel follows it to another: what acts goes by the text, as what compares does."""
    shown, mounted = tmp_path / "shown", tmp_path / "production"
    shown.mkdir()
    mounted.mkdir()
    words = f"mount --bind '{mounted}' '{shown}' && echo ready && exec sleep 60"
    with subprocess.Popen(["unshare", "-m", "sh", "-c", words], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            through = f"/proc/{process.pid}/root{shown}"
            assert Path(through).samefile(mounted), "the attack is set up"
            platform = LocalPlatform(service="shop", folder=through)
            assert asyncio.run(platform.identity()).endswith(f" {shown}")
            assert platform._client().folder == shown
        finally:
            process.kill()


async def test_a_link_that_is_turned_after_the_look_is_not_followed_again(tmp_path: Path) -> None:
    """What was compared is what is acted on."""
    link, first, second = tmp_path / "link", tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    link.symlink_to(first)
    platform = LocalPlatform(service="shop", folder=str(link))
    assert (await platform.identity()).endswith(f" {first}")
    link.unlink()
    link.symlink_to(second)
    assert platform._client().folder == first


@pytest.mark.parametrize(
    ("mode", "owner", "says"),
    [
        (0o755, None, ""),
        (0o1777, None, ""),
        (0o777, None, "can be written by every user"),
        pytest.param(0o755, (OTHER, OTHER), f"belongs to the user {OTHER}", marks=by_root),
        pytest.param(0o1777, (OTHER, OTHER), f"belongs to the user {OTHER}", marks=by_root),
        pytest.param(0o775, (-1, OTHER), f"can be written by the group {OTHER}", marks=by_root),
    ],
)
async def test_an_environment_under_a_folder_that_others_can_change_is_refused(
    tmp_path: Path, mode: int, owner: tuple[int, int] | None, says: str
) -> None:
    """They could show one environment while it is compared, and then another; a rollback goes on."""
    above = tmp_path / "above"
    (above / "shop").mkdir(parents=True)
    if owner is not None:
        os.chown(above, *owner)
    above.chmod(mode)
    platform = LocalPlatform(service="shop", folder=str(above / "shop"))
    if not says:
        expect_own_place(above / "shop" / "not there")
        assert await platform.identity()
        return
    with pytest.raises(BadInput, match=f"could be replaced by other users: {above} {says}"):
        await platform.identity()
    assert await platform.rolling_back().identity()


async def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    """Rather than found by what acts."""
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="file is not a folder"):
        await LocalPlatform(service="shop", folder=str(tmp_path / "file" / "shop")).identity()


@by_root
def test_nothing_is_opened_in_a_folder_that_another_user_made_meanwhile(tmp_path: Path) -> None:
    """Its files could be links to ours, which would be emptied, or written by what the version prints."""
    place, target = tmp_path / "shop", tmp_path / "allowed_signers"
    target.write_text("precious")
    place.mkdir()
    (place / "start.lock").symlink_to(target)
    os.chown(place, OTHER, OTHER)
    with pytest.raises(BadInput, match="was made by another user"):
        ensure_agent(place, service="shop", port=0)
    assert target.read_text() == "precious"
