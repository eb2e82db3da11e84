"""What the commands print of other people's words."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from blocks import secret_text
from blocks.secret_text import learn
from flows.commands import _output
from tests.hostile_text import EVERYTHING
from tests.source_trees import tree_of

ROOT = Path(__file__).parents[2]
MOVES = set("\x1b\x9b\x00\x07\r\x85\u2028\u202e")
PRINTERS = {"print", "echo", "secho", "write", "writelines", "Console", "pprint"}


@pytest.mark.parametrize("error", [False, True])
def test_no_escape_sequence_reaches_the_terminal(capsys: pytest.CaptureFixture[str], error: bool) -> None:  # noqa: FBT001 - a table
    """A run's name, a state's message and a log line can move no cursor and set no title."""
    _output.show(f"before {EVERYTHING} after", error=error)
    shown = capsys.readouterr()
    text = shown.err if error else shown.out
    assert not set(text) & MOVES
    assert text.startswith("before")
    assert (shown.out if error else shown.err) == ""


@pytest.mark.parametrize(
    "show",
    [
        lambda text: _output.show_marked("OK", "32", text),
        lambda text: _output.show_markdown(f"# {text}\n[{text}](http://x/{text})\n```\n{text}\n```", title=text),
        _output.show_secret,
        lambda text: _output.print_json({text: text}),
        lambda text: _output.entry_line(1.0, kind="note", outcome="", text=text),
        lambda text: _output.show(OSError(text), error=True),
    ],
    ids=["marked", "markdown", "secret", "json", "entry", "error"],
)
def test_every_way_to_the_terminal_is_clean(capsys: pytest.CaptureFixture[str], show: Any) -> None:
    """Markdown of an approval's question, too."""
    show(f"before {EVERYTHING} after")
    shown = capsys.readouterr()
    assert "before" in shown.out + shown.err
    assert not set(shown.out + shown.err) & MOVES


def test_no_secret_of_this_process_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """But what its person is meant to see."""
    monkeypatch.setattr(secret_text, "_known", set())
    learn(["correct-horse"])
    _output.show("it is correct%2Dhorse")
    _output.show_markdown("it is **correct-horse**")
    _output.entry_line(1.0, kind="note", outcome="", text="it is correct-horse")
    assert "horse" not in capsys.readouterr().out
    _output.show_secret("it is correct-horse")
    assert "correct-horse" in capsys.readouterr().out


def test_a_link_shows_where_it_leads(capsys: pytest.CaptureFixture[str]) -> None:
    """The text of a commit cannot name one address and lead to another."""
    _output.show_markdown("see [the change log](http://evil.example.org/x)")
    assert "http://evil.example.org/x" in capsys.readouterr().out


def test_no_command_prints_by_other_means() -> None:
    """The command line prints in one module."""
    found = []
    for path in [ROOT / "flows" / "cli.py", *sorted((ROOT / "flows" / "commands").glob("*.py"))]:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and path.name != "_output.py":
                called = ast.unparse(node.func)
                if called.rpartition(".")[2] in PRINTERS and (called.startswith(("sys.", "click", "os.")) or "." not in called):
                    found.append(f"{path.name}:{node.lineno} {called}")
    assert found == []
