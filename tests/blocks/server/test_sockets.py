"""Where the sockets of a home directory are: short enough, private, and the same for every process."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from blocks.errors import Refused
from blocks.server import layout, sockets

UNUSUAL = {"long": "deep" * 30, "space": "my releases", "non-ASCII letter": "Änderung", "comma": "a,b", "quote": 'a"b'}


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the one folder in which short ones may lie."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(sockets, "parents", lambda: [folder])
    return folder


@pytest.mark.parametrize("name", UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_home_has_its_sockets_in_a_short_private_folder(tmp_path: Path, parent: Path, name: str) -> None:
    """A Unix socket's path fits into 107 bytes, and PostgreSQL can read it, wherever the home directory is."""
    folder = sockets.folder(tmp_path / name)
    assert folder.parent == parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_plain_home_keeps_its_sockets_inside() -> None:
    """Nothing is made elsewhere without need."""
    assert sockets.folder(Path("/srv/shipway")) == Path("/srv/shipway/run")


@pytest.mark.parametrize("mode", [0o777, 0o750, 0o701], ids=oct)
def test_a_short_folder_that_others_can_open_is_refused(tmp_path: Path, parent: Path, mode: int) -> None:
    """No one else can prepare the folder of our database's socket for us."""
    home = tmp_path / UNUSUAL["long"]
    sockets.folder(home).chmod(mode)
    with pytest.raises(Refused, match="not a private folder"):
        sockets.folder(home)
    assert parent.exists()


def test_a_link_in_the_place_of_the_short_folder_is_refused(tmp_path: Path, parent: Path) -> None:
    """A link could be turned to another folder later."""
    home = tmp_path / UNUSUAL["long"]
    folder = sockets.folder(home)
    folder.rename(parent / "moved")
    folder.symlink_to(parent / "moved")
    with pytest.raises(Refused, match="not a private folder"):
        sockets.folder(home)


def test_a_parent_in_which_others_can_rename_is_refused(tmp_path: Path, parent: Path) -> None:
    """Without the sticky bit another user could replace our folder by one of theirs."""
    parent.chmod(0o777)
    with pytest.raises(Refused, match="others can replace it"):
        sockets.folder(tmp_path / UNUSUAL["long"])
    parent.chmod(0o1777)
    assert sockets.folder(tmp_path / UNUSUAL["long"]).parent == parent


def test_the_next_place_serves_if_the_first_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing or read-only /tmp is not a reason to fail."""
    good = tmp_path / "good"
    good.mkdir()
    monkeypatch.setattr(sockets, "parents", lambda: [Path("/proc"), tmp_path / "missing", good])
    assert sockets.folder(tmp_path / UNUSUAL["long"]).parent == good


def test_every_process_uses_the_folder_that_was_chosen_first(tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another environment, such as that of sudo, does not make a command look elsewhere."""
    home = tmp_path / UNUSUAL["space"]
    layout.make_home(home, port=None, auth=None)
    chosen = layout.engine_socket(home)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    monkeypatch.setattr(sockets, "parents", lambda: [elsewhere])
    assert layout.engine_socket(home) == chosen
    assert chosen.parent.parent == parent


def test_the_short_folder_is_removed_with_its_sockets_and_made_again(tmp_path: Path, parent: Path) -> None:
    """Nothing is left after `shipway down`; after a restart of the machine the folder is made anew."""
    home = tmp_path / UNUSUAL["space"]
    layout.make_home(home, port=None, auth=None)
    (sockets.folder(home) / "engine.sock").touch()
    sockets.remove(home)
    assert list(parent.iterdir()) == []
    assert sockets.folder(home).parent == parent
