"""Blocks of scripts in a file: what is wrong is named with its line and its fix, before anything is saved."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path

import pytest

from blocks.errors import BadInput
from blocks.script import programs
from blocks.script.platform import ScriptPlatform
from blocks.script.programs import user_of
from tasks.rules.plan.blocks_file import read_blocks

KINDS = {"script": ScriptPlatform}
EXAMPLE = Path(__file__).parents[3] / "examples" / "script" / "blocks.yaml"
TEXT = """script/shop:
  service: shop
  address: http://127.0.0.1:1
  scripts:
    deploy: [./shop.sh, "{version}"]
    status: [./shop.sh]
    verify: [./shop.sh]
    rollback: [./shop.sh, "{previous}"]
"""


def problems_in(text: str) -> str:
    """Give the problems of a file, a line each."""
    return "\n".join(map(str, read_blocks(text, name="blocks.yaml", kinds=KINDS, environ={})[1]))


def test_the_example_is_right() -> None:
    """Each of its blocks can be saved."""
    found, problems = read_blocks(EXAMPLE.read_text(), name="blocks.yaml", kinds=KINDS, environ={})
    assert (list(found), problems) == (["script/quotes-staging", "script/quotes-production"], [])
    assert problems_in(TEXT) == ""


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('"{version}"', '"{percent}"', "`deploy` does not know {percent}"),
        ("status: [./shop.sh]", "status: []", "scripts.status"),
        ("status: [./shop.sh]", "status: ./shop.sh status", "must be a list"),
        ("status: [./shop.sh]", "state: [./shop.sh]", "scripts.state"),
        ("status: [./shop.sh]", 'status: [""]', "empty program"),
        ("    status", "    promote: [./x]\n    status", "`promote` stands without `shift`"),
        ("    status", "    shift: [./x]\n    status", "`shift` needs `version_address`"),
        ("http://", "", "address"),
    ],
)
def test_a_wrong_block_is_named_with_its_fix(before: str, after: str, problem: str) -> None:
    """And its line."""
    found = problems_in(TEXT.replace(before, after, 1))
    assert problem in found
    assert found.startswith("blocks.yaml:")


@pytest.mark.parametrize("name", ["no-such-user-here", "root", "daemon"])
def test_a_user_that_this_machine_does_not_allow_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever edits blocks chooses among the members of a group, and never root."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(BadInput, match="user"):
        user_of(name)


def test_a_user_of_the_group_runs_scripts_with_its_own_groups_and_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's administrator decides by the group who it may be."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(programs, "GROUP", grp.getgrgid(pwd.getpwnam("daemon").pw_gid).gr_name)
    other, who = user_of("daemon")
    assert other is not None
    assert (other.uid, who["USER"]) == (pwd.getpwnam("daemon").pw_uid, "daemon")
    assert 0 not in {other.uid, other.gid, *other.groups}


def test_another_user_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried that cannot work."""
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    with pytest.raises(BadInput, match="only root"):
        user_of("daemon")
