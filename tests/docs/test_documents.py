"""The documents name only what is there: files, commands, targets, flows."""

import argparse
import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flows.cli import COMMANDS, build_parser
from tests.source_trees import tree_of

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# The word after `shipway` where it is a command: at the start of code, or of a line of a code block.
COMMAND = re.compile(r"(?:`|^\s*)shipway ([a-z][\w-]*)([^`\n]*)", re.MULTILINE)
QUOTED = re.compile(r"`shipway ([a-z][\w-]*)([^`\n]*)`")  # in a message
# A whole command: a line of a code block, or code that names a file. What is left out is written as …, a value of any kind as "…".
WHOLE = re.compile(r"(?:^\s*|`(?=[^`\n]*\.ya?ml\b))(?:[A-Z_]+=\S+ )*shipway ([a-z][^`\n]*)", re.MULTILINE)
LEFT_OUT = re.compile(r"(?<![\"'])…")
OPTION = re.compile(r"(?<=\s)--[a-z][a-z-]+")
TARGET = re.compile(r"(?:`|^)make ([a-z][a-z-]*)", re.MULTILINE)
LOAD_ALL = """
import importlib, json, sys
from prefect import Flow
for entrypoint in json.load(sys.stdin):
    module, _, name = entrypoint.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, Flow), entrypoint
    print(found.name)
"""


def name_of(page: Path) -> str:
    """Name a page in a test's id."""
    return str(page.relative_to(ROOT))


def anchors_of(page: Path) -> set[str]:
    """List a page's headings as links write them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def words_of(parser: argparse.ArgumentParser) -> set[str]:
    """List the options of a parser and of the parsers below it."""
    found: set[str] = set()
    for action in parser._actions:
        found.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found |= words_of(below)
    return found


def deployments() -> list[dict[str, object]]:
    """Read the deployments of prefect.yaml."""
    found: list[dict[str, object]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    return found


def flows_written() -> Iterator[str]:
    """Find every function under `@flow` in flows/, as a module path, without importing it."""
    for file in sorted((ROOT / "flows").glob("*.py")):
        for node in tree_of(file).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                decorators = [one.func if isinstance(one, ast.Call) else one for one in node.decorator_list]
                if any(isinstance(one, ast.Name) and one.id == "flow" for one in decorators):
                    yield f"flows.{file.stem}.{node.name}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    """A relative link names a file that is there, and where it names a heading, a heading of it."""
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def wrong_commands(text: str, choices: dict[str, argparse.ArgumentParser], *, pattern: re.Pattern[str] = COMMAND) -> list[str]:
    """List the commands that a text tells people to type and that the command line does not take."""
    wrong = []
    for command, rest in pattern.findall(text):
        unknown = set(OPTION.findall(rest.partition("#")[0])) - words_of(choices[command]) if command in COMMANDS else {"no such command"}
        wrong += [f"shipway {command}: {unknown}"] if unknown else []
    return wrong


@pytest.fixture(scope="module")
def choices() -> dict[str, argparse.ArgumentParser]:
    """Give the parsers of the commands."""
    parser, _ = build_parser()
    found: dict[str, argparse.ArgumentParser] = next(
        action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_and_option_exists(page: Path, choices: dict[str, argparse.ArgumentParser]) -> None:
    """What the documents tell people to type is what the command line takes."""
    assert wrong_commands(page.read_text(encoding="utf-8"), choices) == []


def texts_in(file: Path) -> Iterator[str]:
    """Give the texts of a module as people would read them; what is filled in is `X`."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("room", ["blocks", "flows", "tasks"])
def test_every_fix_names_commands_and_options_that_exist(room: str, choices: dict[str, argparse.ArgumentParser]) -> None:
    """A wrong fix is worse than none: whatever a message tells people to type is what the command line takes."""
    for file in sorted((ROOT / room).rglob("*.py")):
        assert [wrong for text in texts_in(file) for wrong in wrong_commands(text, choices, pattern=QUOTED)] == [], file


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_whole_command_is_taken_as_it_is_written(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No required word is missing, and none is too many."""
    parser, _ = build_parser()
    for line in WHOLE.findall(page.read_text(encoding="utf-8")):
        typed = line.partition(" #")[0].partition(" | ")[0]
        if LEFT_OUT.search(typed):
            continue
        try:
            parser.parse_args(shlex.split(typed))
        except SystemExit as ended:
            if ended.code:
                pytest.fail(f"shipway {typed}: {capsys.readouterr().err}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_exists(page: Path) -> None:
    """What the documents tell people to make is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(TARGET.findall(page.read_text(encoding="utf-8"))) <= targets


def test_every_command_is_in_the_handbook_or_the_readme() -> None:
    """No command is left untold."""
    told = (ROOT / "README.md").read_text() + (ROOT / "docs" / "handbook.md").read_text() + (ROOT / "docs" / "quick-start.md").read_text()
    assert {name for name, _ in COMMAND.findall(told)} | {"demo"} >= set(COMMANDS)


def test_every_command_that_prints_json_is_in_the_handbooks_table_and_no_other(choices: dict[str, argparse.ArgumentParser]) -> None:
    """Whoever writes a script finds each of them with its exit codes, which begin with 0."""
    table = (ROOT / "docs" / "handbook.md").read_text(encoding="utf-8").partition("## Exit codes\n")[2].partition("\n## ")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines() if row.startswith("| `")]
    told = {name for names, _ in rows for name in re.findall(r"`shipway ([a-z -]+?)(?: [A-Z].*?)?`", names)}
    assert told == {name for command, parser in choices.items() for name in with_json(command, parser)} - {"local"} | {
        "local list",
        "local status",
    }
    assert [codes for _, codes in rows if not codes.startswith(("0 ", "0, "))] == []


def with_json(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Name the commands with the option --json in a parser and below it."""
    for action in parser._actions:
        if "--json" in action.option_strings:
            yield name
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield from with_json(f"{name} {word}", below)


def test_every_page_is_in_the_index() -> None:
    """docs/index.md lists every document."""
    listed = {link.partition("#")[0] for link in LINK.findall((ROOT / "docs" / "index.md").read_text())}
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")} - {"index.md"}
    assert pages <= listed


def rooms() -> set[str]:
    """List the packages of each layer, the modules of `blocks`, and the flows, as the architecture names them."""
    packages = {ROOT / "flows": "flows/", ROOT / "tasks": "tasks/", ROOT / "tasks/rules": "rules/", ROOT / "blocks": ""}
    found = {f"{layer}{path.parent.name}" for folder, layer in packages.items() for path in folder.glob("*/__init__.py")} - {"tasks/rules"}
    return found | {path.name for folder in ("flows", "blocks") for path in (ROOT / folder).glob("[a-z]*.py")}


@pytest.mark.parametrize("room", sorted(rooms()))
def test_every_room_is_in_the_architecture(room: str) -> None:
    """A new colleague looks for a subject in its tables."""
    assert re.search(rf"[`(/]{re.escape(room)}[/`.)]", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))


def test_every_flow_is_deployed_by_its_module_path() -> None:
    """prefect.yaml deploys each flow under its own name, and never by a file's path, which would load it as another module."""
    entrypoints = {str(one["entrypoint"]) for one in deployments()}
    assert entrypoints == set(flows_written())
    assert not [name for name in entrypoints if ":" in name or "/" in name]


@pytest.mark.slow
def test_every_entrypoint_loads() -> None:
    """Each deployment's entrypoint is a flow that can be imported; `prefect deploy` itself would not tell."""
    entrypoints = [str(one["entrypoint"]) for one in deployments()]
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD_ALL], input=json.dumps(entrypoints), capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
    )
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    assert len(loaded.stdout.split()) == len(entrypoints)


def test_each_part_in_the_picture_of_gitops_has_a_row_for_when_it_is_down() -> None:
    """Whoever is called at night finds the part by its name in docs/gitops.svg."""
    picture = (ROOT / "docs" / "gitops.svg").read_text(encoding="utf-8")
    boxes = set(re.findall(r'<rect class="box"[^>]*/><text [^>]*>([^<]+)<', picture))
    table = (ROOT / "docs" / "gitops.md").read_text(encoding="utf-8").partition("### If a part is down\n")[2].partition("\n## ")[0]
    rows = {row.split(" | ")[0].strip("| ").partition(",")[0] for row in table.splitlines() if row.startswith("| ")} - {"part"}
    seen_by_it = {"Application", "workload", "pods"}  # what Argo CD and Kubernetes keep is away with their APIs
    assert boxes - seen_by_it == rows - {"Argo CD's API", "Kubernetes"}


def test_the_lock_names_no_host() -> None:
    """requirements.lock says what to install with which hash, and leaves where from to whoever installs."""
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert not [line for line in text.splitlines() if line.startswith("-")]


def test_the_suite_in_the_documents_is_that_of_the_example() -> None:
    """docs/data.md shows the guestbook's suite as it is, which the tests of the data see catch its migration."""
    shown = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert f"```yaml\n{(ROOT / 'examples/guestbook/data/entries.yaml').read_text(encoding='utf-8')}```\n" in shown
