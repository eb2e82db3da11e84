"""`shipway completion`: the shells themselves complete what the command line takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli import COMMANDS, build_parser, main
from flows.commands.completion import script
from tests.commands.test_cli import HEAVY

ROOT = Path(__file__).parents[2]
BASH = """
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shipway; printf '%s\\n' "${COMPREPLY[@]}"
"""
LINES = [
    ("shipway ", set(COMMANDS)),
    ("shipway stat", {"status"}),
    ("shipway policy ", {"apply", "list", "show", "remove"}),
    ("shipway policy --home list sh", {"show"}),
    ("shipway init --method ", {"local", "kubernetes", "gitops", "script", "script-hosts"}),
    ("shipway local ", {"list", "status", "stop"}),
    ("shipway report --o", {"--open", "--output"}),
    ("shipway completion ", {"bash", "zsh", "fish"}),
]


@pytest.mark.parametrize(("line", "offered"), LINES)
def test_bash_offers_what_the_command_line_takes(line: str, offered: set[str]) -> None:
    """Commands, their actions, options, and the words that an option takes; the value of an option is not taken for a command."""
    code = script(build_parser()[0], "bash") + BASH
    ended = subprocess.run(["bash", "-c", code, "bash", *line.split(" ")], capture_output=True, text=True, check=True)
    assert set(ended.stdout.split()) == offered
    assert ended.stderr == ""


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
@pytest.mark.parametrize(("line", "offered"), [one for one in LINES if "--home" not in one[0]])
def test_fish_offers_the_same(line: str, offered: set[str], tmp_path: Path) -> None:
    """Each with what it does behind a tab."""
    (tmp_path / "c.fish").write_text(script(build_parser()[0], "fish"))
    code = f"source {tmp_path}/c.fish; complete -C '{line}'"
    ended = subprocess.run(
        ["fish", "-N", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert {one.partition("\t")[0] for one in ended.stdout.splitlines()} - {"c.fish"} == offered


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_is_one_that_the_shell_can_read(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever stands in a help text."""
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert text == script(build_parser()[0], shell)
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n"], input=text, text=True, check=True)


def test_it_loads_nothing_heavy() -> None:
    """It runs whenever a shell starts."""
    code = f"""
import contextlib, io, sys
from flows.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["completion", "bash"])
print([name for name in {HEAVY} if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
