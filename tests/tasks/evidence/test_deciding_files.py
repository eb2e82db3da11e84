"""Files that decide: their content is part of what people approve, read once and in bounds."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from blocks.errors import BadInput
from blocks.key_folder.key_file import create_key
from blocks.script.platform import ScriptPlatform
from tasks.evidence import deciding_files
from tasks.evidence.deciding_files import hash_deciding_files, program_files, unreadable_files
from tasks.evidence.inputs import digest_of, read_plan
from tasks.rules.evidence.change_log import ChangeLog
from tasks.rules.evidence.differences import changed_parts, differences
from tasks.rules.evidence.inputs import Inputs, TakenPlan
from tasks.rules.plan.plan import Plan

PLAN: dict[str, Any] = {
    "shipway": 1, "service": "shop", "judgement": {"slis": [{"name": "errors", "indicator": "errors"}]},
    "tests": [{"command": ["./check.sh", "--fast"]}, {"command": ["python3", "tools/lint.py"]}, {"junit": "junit.xml"}],
    "verification": {"health": [{}], "smoke": [{"name": "all", "pytest": "smoke"}, {"name": "one", "pytest": "one/test_one.py"}]},
    "data": [{"name": "entries", "suite": "data/entries.yaml", "csv": "data/*.csv"}],
    "checklist": {"commands": [{"name": "disk", "command": ["sudo", "-n", "bin/disk"]}]},
    "staging": {"platform": "script/shop-staging"},
    "production": {"platform": "script/shop-production", "steps": [{"percent": 100}]}, "approval": {"quorum": 0}, "rollback": {},
}  # fmt: skip
FILES = {
    "check.sh": "exit 0", "tools/lint.py": "", "bin/disk": "#!/bin/sh\n", "data/entries.yaml": "expectations: []", "data/a.csv": "a\n1\n",
    "smoke/test_all.py": "", "smoke/deep/conftest.py": "", "smoke/words.json": "{}", "one/test_one.py": "", "one/helper.py": "",
    "conftest.py": "", "pyproject.toml": "", "junit.xml": "<testsuite/>", "smoke/__pycache__/a.pyc": "", "smoke/.test_all.py.swp": "",
    "scripts/shop.sh": "", "scripts/lib.sh": "", "scripts/tool": "#!/usr/bin/env python3\n",
}  # fmt: skip
SCRIPTS = {
    "deploy": ["./shop.sh", "deploy", "{version}"], "status": ["cat", "running"], "verify": ["sudo", "-n", "./tool", "{version}"],
    "rollback": ["bash", "lib.sh", "releases/{previous}/x.sh"],
}  # fmt: skip
LEFT_OUT = {"data/a.csv", "junit.xml", "smoke/__pycache__/a.pyc", "smoke/.test_all.py.swp", "one/helper.py"}
PLANS = {"./check.sh" if name == "check.sh" else name for name in FILES if not name.startswith("scripts/")} - LEFT_OUT
DECIDE = {f"the plan's {name}" for name in PLANS} | {
    f"{name}'s {word}" for name in ("staging", "production") for word in ("./shop.sh", "./tool", "lib.sh")
}


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TakenPlan:
    """Lay out a plan with all that it names, in a repository, under a key."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "approvals.key"))
    create_key(tmp_path / "approvals.key")
    folder = tmp_path / "shop"
    (folder / ".git").mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    plan = Plan.model_validate(PLAN).model_dump(mode="json")
    return TakenPlan(plan=plan, path=str(folder / "shipway.yaml"), folder=str(folder), repository=str(folder))


def platform(taken: TakenPlan, **scripts: list[str]) -> Any:
    """Give a platform whose scripts are beside the plan."""
    return ScriptPlatform.model_validate(
        {"address": "http://127.0.0.1:1", "scripts": SCRIPTS | scripts, "working_directory": f"{taken.folder}/scripts"}
    )


async def hashes(taken: TakenPlan, **scripts: list[str]) -> dict[str, str]:
    """Hash what decides."""
    return await hash_deciding_files(taken, dict.fromkeys(("staging", "production"), platform(taken, **scripts)), "1.1")


def digest_under(taken: TakenPlan, files: dict[str, str]) -> str:
    """Give the digest of a release with these files."""
    return digest_of(inputs(taken, files))


def inputs(taken: TakenPlan, files: dict[str, str]) -> Inputs:
    """Give the inputs of a release with these files."""
    log = ChangeLog("1.0", "1.1", "upgrade", ())
    return Inputs(**dict(taken), version="1.1", current={}, previous={}, change_log=log, platforms={}, digest="", files=files)


async def test_what_decides_is_hashed_and_what_does_not_is_left_out(taken: TakenPlan) -> None:
    """Neither data nor reports, nor what Python and editors leave, nor a program of PATH, nor what is not known before a deployment."""
    found = await hashes(taken)
    assert set(found) == DECIDE
    assert all(len(one) == 64 for one in found.values())


@pytest.mark.parametrize("name", sorted(FILES))
async def test_each_file_that_decides_gives_another_digest_if_it_is_changed(taken: TakenPlan, name: str) -> None:
    """And names itself to the people who are asked again; the same content gives the same digest, however often it is read."""
    before = await hashes(taken)
    assert await hashes(taken) == before
    (Path(taken.folder) / name).write_text(f"{FILES[name]} ")
    after = await hashes(taken)
    decides = name not in LEFT_OUT
    assert (digest_under(taken, after) != digest_under(taken, before)) is decides
    assert (changed_parts(inputs(taken, before), inputs(taken, after)) == ["files"]) is decides
    assert bool(differences(inputs(taken, before), inputs(taken, after))) is decides


async def test_a_test_that_is_added_or_removed_gives_another_digest(taken: TakenPlan) -> None:
    """With its name."""
    before = await hashes(taken)
    (Path(taken.folder) / "smoke/conftest.py").write_text("collect_ignore = ['test_all.py']")
    (Path(taken.folder) / "smoke/words.json").unlink()
    after = await hashes(taken)
    assert digest_under(taken, after) != digest_under(taken, before)
    lines = differences(inputs(taken, before), inputs(taken, after))
    assert lines == ["files: the plan's smoke/words.json is gone", "files: the plan's smoke/conftest.py is new"]


async def test_a_link_counts_by_what_it_leads_to(taken: TakenPlan) -> None:
    """As when it is run."""
    script = Path(taken.folder) / "scripts/shop.sh"
    for name in ("one", "two"):
        script.with_name(name).write_text(name)
    found = []
    for name in ("one", "two"):
        script.unlink()
        script.symlink_to(name)
        found.append((await hashes(taken))["production's ./shop.sh"])
    assert found[0] != found[1]


async def test_a_hash_says_nothing_about_a_file(taken: TakenPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is keyed: a plan can name any file that the worker reads."""
    before = await hashes(taken)
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "other.key"))
    create_key(tmp_path / "other.key")
    after = await hashes(taken)
    assert all(before[name] != after[name] for name in before)


def remove(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def become_a_pipe(path: Path) -> None:
    """Put a pipe there, which would wait for its writer."""
    path.unlink()
    os.mkfifo(path)


def become_a_folder(path: Path) -> None:
    """Put a folder there."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("change", [remove, become_a_pipe, become_a_folder])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("check.sh", r"tests\[0\]\.command"),
        ("data/entries.yaml", r"data\[0\]\.suite"),
        ("scripts/shop.sh", r"scripts\.deploy of script/shop-staging"),
    ],
)
async def test_a_file_that_cannot_be_read_is_bad_input(taken: TakenPlan, name: str, field: str, change: Callable[[Path], None]) -> None:
    """The message names the field and the fix; what `shipway check` can see, it says, too."""
    change(Path(taken.folder) / name)
    with pytest.raises(BadInput, match=f"{field}: .*(does not exist|is not a regular file).*\\."):
        await hashes(taken)
    assert bool(unreadable_files(taken.parsed(), Path(taken.folder))) is not name.startswith("scripts")


async def test_a_folder_of_tests_without_right_to_read_is_bad_input(taken: TakenPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken for an empty one."""

    def refuse(path: str) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(BadInput, match=r"smoke\[0\]\.pytest: .*smoke cannot be read: Permission denied"):
        await hashes(taken)


@pytest.mark.parametrize(("bound", "said"), [("MOST_FILES", "more than 3 files decide"), ("MOST_BYTES", "than 0 MB")])
async def test_files_are_bounded_in_number_and_size(taken: TakenPlan, monkeypatch: pytest.MonkeyPatch, bound: str, said: str) -> None:
    """A folder of another kind that a plan names by mistake is not read to its end."""
    monkeypatch.setattr(deciding_files, bound, 3)
    with pytest.raises(BadInput, match=said):
        await hashes(taken)


def test_the_search_ends_at_the_bound(taken: TakenPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of a million links to one file is not walked to its end."""
    found = []

    def endless(*_: Any, **__: Any) -> Any:
        for number in count():
            found.append(number)
            yield Path(taken.folder) / "smoke" / f"test_{number}.py"

    monkeypatch.setattr(deciding_files, "_files_below", endless)
    monkeypatch.setattr(deciding_files, "MOST_FILES", 10)
    monkeypatch.setattr(deciding_files._Reader, "_read", lambda *_: "x")
    assert "more than 10 files decide" in unreadable_files(taken.parsed(), Path(taken.folder))[0]
    assert len(found) <= 10


@pytest.mark.parametrize(
    ("command", "files"),
    [
        (["make", "check"], []),
        (["./check.sh"], ["./check.sh"]),
        (["/bin/sh", "-e", "check.sh"], ["/bin/sh", "check.sh"]),
        (["env", "A=b", "bin/disk", "junit.xml", "--junitxml=check.sh", "\0", "x" * 5_000, ""], ["bin/disk"]),
        (["timeout", "5", "/bin/sh"], ["/bin/sh"]),
        (["cat", "data/a.csv", "nowhere.py", "smoke"], []),
        (["bash", "-e", "data/a.csv", "data/a.csv"], ["data/a.csv"]),
        (["sudo", "-n", "perl", "data/a.csv"], ["data/a.csv"]),
    ],
)
def test_a_command_names_its_program_and_scripts(taken: TakenPlan, command: list[str], files: list[str]) -> None:
    """By a path; what it writes, as a report, is not one of them, or each release would void itself."""
    assert [word for word, _ in program_files(command, Path(taken.folder))] == files


async def test_the_plan_of_a_rollback_is_read_without_them(taken: TakenPlan) -> None:
    """A rollback needs no digest: no file that is gone stops it."""
    lay_out_anew(taken)
    assert (await read_plan(taken.path)).parsed() == Plan.model_validate(PLAN)


def lay_out_anew(taken: TakenPlan) -> None:
    """Write the plan, and remove what it names."""
    Path(taken.path).write_text(yaml.safe_dump(PLAN))
    for name in ("check.sh", "data/entries.yaml", "scripts/shop.sh"):
        (Path(taken.folder) / name).unlink()
