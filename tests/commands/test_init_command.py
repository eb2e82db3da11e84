"""`shipway init`: from an empty folder to a plan that `shipway check` accepts, without harm to what is there."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli import main
from flows.commands.check import schema_text

FILES = {"shipway.yaml", "blocks.yaml", "shipway.schema.json"}
OPTIONS = {
    "local": ["--command", "python3 app-{version}.py {port}"],
    "kubernetes": ["--workload", "shop-staging/shop", "shop/shop"],
    "gitops": ["--repository", "https://git.example.com/shop/deploy.git", "--edit", "apps/shop/values.yaml:image.tag"],
    "script-hosts": ["--command", "./deploy.sh", "--hosts", "stage-1.invalid", "web-1.invalid,ada@web-2.invalid:2222"],
    "script": ["--command", "./deploy.sh {environment}", "--address", "http://127.0.0.1:8084", "http://127.0.0.1:8085"],
}
SCRIPT = "#!/bin/sh\n[ $2 = status ] || exit 1\n"


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder called `shop`, without a terminal; a server is configured only in tests that start one."""
    if "server" not in request.fixturenames:
        for name in [name for name in os.environ if name.startswith(("PREFECT_", "SHIPWAY_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "home"))
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    return tmp_path / "shop"


def init(method: str, *more: str) -> int:
    """Run the command with the options of a method."""
    return main(["init", "--method", method, *OPTIONS[method], "--approvers", "ada", *more])


def names_in(folder: Path) -> set[str]:
    """List the files of a folder."""
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("method", OPTIONS)
def test_the_plan_of_each_method_passes_the_check(method: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the schema for editors beside it, and the next two commands."""
    assert init(method) == 0
    said = capsys.readouterr().out
    assert names_in(folder) == FILES
    assert (folder / "shipway.yaml").read_text().startswith("# yaml-language-server: $schema=shipway.schema.json\n")
    assert (folder / "shipway.schema.json").read_text() == schema_text()
    token = {"gitops": "DEPLOY_TOKEN=… ", "script-hosts": "DEPLOY_KEY=… DEPLOY_KNOWN_HOSTS=… "}.get(method, "")
    assert said.endswith(f"Next:\n  shipway up && {token}shipway blocks apply blocks.yaml\n  shipway check shipway.yaml --version 0.1.0\n")
    assert "git init && git add ." in said
    assert main(["check", "--version", "0.1.0", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["service"], facts["problems"], facts["warnings"]) == ("shop", [], [])


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("method", OPTIONS)
def test_the_blocks_of_each_method_are_saved_and_the_check_passes_with_them(
    method: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server knows every platform of the plan; that a cluster does not answer is said and is not a problem of the plan."""
    for name in ("DEPLOY_TOKEN", "DEPLOY_KEY", "DEPLOY_KNOWN_HOSTS"):
        monkeypatch.setenv(name, "hush-hush")
    monkeypatch.setenv("KUBECONFIG", str(folder / "none"))
    (folder / "deploy.sh").write_text(SCRIPT)
    (folder / "deploy.sh").chmod(0o755)
    assert init(method, "--service", f"init-{method}") == 0
    assert main(["blocks", "apply", "blocks.yaml"]) == 0
    applied = capsys.readouterr().out
    assert f"{method}/init-{method}-production  created" in applied
    assert main(["check", "--json"]) == 0
    assert "hush" not in applied + capsys.readouterr().out


def test_without_a_terminal_the_error_names_the_options_and_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing first, then all that each method takes."""
    assert main(["init"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("--method, --approvers: there is no terminal to ask on.")
    assert "with --method gitops also --repository, --edit, --workload, --health" in said
    assert main(["init", "--method", "script", "--command", "./d {environment}"]) == 2
    assert capsys.readouterr().err.startswith("--address, --approvers: there is no terminal")
    assert names_in(folder) == set()


@pytest.mark.parametrize(
    ("method", "more", "field"),
    [
        ("local", ["--service", "On Sale"], "--service"),
        ("local", ["--health", "healthz"], "--health"),
        ("local", ["--command", "python3 app.py"], "--command"),
        ("local", ["--approvers", "Ada"], "--approvers"),
        ("local", ["--edit", "a:b"], "--edit"),
        ("kubernetes", ["--workload", "shop", "shop/shop"], "--workload"),
        ("kubernetes", ["--command", "x {port}"], "--command"),
        ("gitops", ["--repository", "https://ada:hush@git.example.com/a.git"], "--repository"),
        ("gitops", ["--edit", "values.yaml"], "--edit"),
        ("script", ["--command", "./deploy.sh"], "--command"),
        ("script-hosts", ["--hosts", "web-0", ","], "--hosts"),
        ("script-hosts", ["--hosts", "web-0", "web-1:ssh"], "--hosts"),
        ("script", ["--hosts", "web-0", "web-1"], "--hosts"),
        ("script", ["--address", "http://a", "http://a"], "--address"),
    ],
)
def test_a_wrong_option_is_named_with_its_fix_and_nothing_is_written(
    method: str, more: list[str], field: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one that belongs to another method, which would be ignored; a password in an address is not repeated."""
    assert init(method, *more) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{field}: ")
    assert said.rstrip().endswith((".", ".)"))
    assert "hush" not in said
    assert names_in(folder) == set()


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_exists_is_left_alone_unless_it_is_forced(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is anything written beside it."""
    (folder / name).write_text("mine\n")
    assert init("local") == 2
    said = capsys.readouterr().err
    assert f"--force: {name} exists" in said
    assert names_in(folder) == {name}
    assert (folder / name).read_text() == "mine\n"
    assert init("local", "--force") == 0
    assert (folder / name).read_text() != "mine\n"


def test_a_link_is_not_written_through(folder: Path) -> None:
    """Neither one that leads nowhere, nor, if it is forced, one to a file of others."""
    other = folder.parent / "other.yaml"
    (folder / "shipway.yaml").symlink_to(other)
    assert init("local") == 2
    assert not other.exists()
    other.write_text("theirs\n")
    assert init("local", "--force") == 0
    assert other.read_text() == "theirs\n"
    assert not (folder / "shipway.yaml").is_symlink()


def test_what_cannot_be_written_whole_is_not_written_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that comes into being meanwhile is its owner's; what was written before it is removed."""
    from tasks.record import files  # noqa: PLC0415 - as the command imports it

    create = files.create_file

    def overtaken(base: Path, path: str, content: bytes, *, mode: int) -> bool:
        if path == "blocks.yaml":
            (base / path).write_text("theirs\n")
        return create(base, path, content, mode=mode)

    monkeypatch.setattr(files, "create_file", overtaken)
    assert init("local") == 2
    assert names_in(folder) == {"blocks.yaml"}
    assert (folder / "blocks.yaml").read_text() == "theirs\n"


def test_the_tags_of_a_repository_propose_version_and_tag(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The next commands name the newest version, and the plan finds it."""
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"], ["tag", "1.9.0"], ["tag", "1.10.0"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=folder, check=True)
    assert init("local") == 0
    said = capsys.readouterr().out
    assert said.endswith("shipway check shipway.yaml --version 1.10.0\n")
    assert "git init" not in said
    assert 'tag: "{version}"' in (folder / "shipway.yaml").read_text()


@pytest.fixture
def keyboard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:  # noqa: ARG001 - after it, which takes the terminal away
    """Make standard input a terminal, and give what is at its other end."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield ours
    os.close(ours)


def test_five_questions_are_asked_and_a_wrong_answer_again(keyboard: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty answer takes what stands in brackets."""
    os.write(keyboard, b"\n\npython3 app.py\npython3 app.py {port}\n/ready\nada grace\n")
    assert main(["init"]) == 0
    said = capsys.readouterr()
    assert "What is the service called? [shop] " in said.out
    assert said.out.count("? ") == 6
    assert "It does not say on which port to serve. Put `{port}` where it belongs" in said.err
    assert "approvers: [ada, grace]" in (folder / "shipway.yaml").read_text()
    assert "ready_path: /ready" in (folder / "blocks.yaml").read_text()


@pytest.mark.parametrize(("typed", "code"), [("n\n", 2), ("\n", 2), ("\x04", 2), ("y\n", 0)])
def test_a_person_is_asked_before_a_file_is_overwritten(typed: str, code: int, keyboard: int, folder: Path) -> None:
    """Only y or yes does."""
    (folder / "blocks.yaml").write_text("mine\n")
    os.write(keyboard, typed.encode())
    assert init("local") == code
    assert ((folder / "blocks.yaml").read_text() == "mine\n") is bool(code)
