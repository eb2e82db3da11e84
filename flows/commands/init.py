"""`shipway init`: ask five questions, or take options, and write a plan with its platform blocks into this folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from tasks.rules.plan.starter import Answers

HELP = "Write a plan and its platform blocks into this folder, from five questions or from options."
METHODS = ("local", "kubernetes", "gitops", "script", "script-hosts")
PLAN, BLOCKS = "shipway.yaml", "blocks.yaml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments; on a terminal the others are asked for if one without a default is missing."""
    parser.add_argument("--service", metavar="NAME", help="the service's name (default: that of the folder)")
    parser.add_argument("--method", metavar="METHOD", choices=METHODS, help=f"how it is deployed: {', '.join(METHODS)}")
    parser.add_argument(
        "--command",
        dest="program",  # `command` is the word after `shipway`
        metavar="WORDS",
        help='local: the program, as "python3 app.py {port}"; script: what deploys, as "./deploy.sh {environment}", which is run with '
        "deploy VERSION, status, or verify VERSION behind it; script-hosts: the same, as it lies on the hosts",
    )
    parser.add_argument(
        "--workload", nargs=2, metavar=("STAGING", "PRODUCTION"), help="kubernetes, gitops: the workloads, each as NAMESPACE/NAME"
    )
    parser.add_argument("--repository", metavar="URL", help="gitops: the repository that Argo CD deploys from")
    parser.add_argument(
        "--edit",
        metavar="FILE:PATH",
        help="gitops: the value in it that is the version, as apps/shop/values.yaml:image.tag, or FILE:image=NAME",
    )
    parser.add_argument(
        "--hosts", nargs=2, metavar=("STAGING", "PRODUCTION"), help="script-hosts: the hosts of each, as stage-1 ada@web-1:2222,web-2"
    )
    parser.add_argument(
        "--address",
        nargs=2,
        metavar=("STAGING", "PRODUCTION"),
        help="script, script-hosts: where each is reached, as http://127.0.0.1:8085 (default with hosts: the first of each)",
    )
    parser.add_argument("--health", metavar="PATH", help="the path that answers with 200 if the service is well (default: /healthz)")
    parser.add_argument("--approvers", metavar="NAMES", help="who approves, as ada,grace; none if a release needs no approval")
    parser.add_argument("--force", action="store_true", help="overwrite files that exist, without asking")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the files.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when they are written, 2 on bad input, also if something is to be asked and there is no terminal, or if a file exists.
    """
    from blocks.errors import ShipwayError

    online = _terminal.enter(arguments)
    try:
        return _init(arguments, Path.cwd(), online=online)
    except ShipwayError as error:
        _terminal.show(error, error=True)
        return _terminal.BAD_INPUT
    except (KeyboardInterrupt, EOFError):
        _terminal.show("\nNothing was written.", error=True)
        return _terminal.BAD_INPUT


def _init(arguments: argparse.Namespace, folder: Path, *, online: bool) -> int:
    from flows.commands._init import collect, read_tags, write_all
    from flows.commands.check import schema_text
    from tasks.rules.plan.starter import propose
    from tasks.rules.plan.starter_files import SCHEMA_FILE, blocks_text, plan_text

    asks = sys.stdin.isatty()
    is_agreed = _may_write(folder, (PLAN, BLOCKS, SCHEMA_FILE), arguments, asks=asks)
    if not is_agreed:
        _terminal.show("Nothing was written.", error=True)
        return _terminal.BAD_INPUT
    tags = read_tags(folder)
    answers = collect(arguments, folder, tags=tags or [], asks=asks)
    proposed = propose(tags or [], answers.service)
    texts = {PLAN: plan_text(answers), BLOCKS: blocks_text(answers, file=BLOCKS), SCHEMA_FILE: schema_text()}
    write_all(folder, texts, answers, overwrite=is_agreed == "overwrite")
    _say(answers, proposed.version, has_git=tags is not None, online=online)
    return _terminal.DONE


def _may_write(folder: Path, names: tuple[str, ...], arguments: argparse.Namespace, *, asks: bool) -> str:
    """Say whether files may be written: "new" if none of them exists, "overwrite" if a person agreed to that, else ""."""
    from blocks.errors import BadInput
    from flows.commands._init import asked

    found = [name for name in names if (folder / name).exists() or (folder / name).is_symlink()]
    if not found:
        return "new"
    there = f"{', '.join(found)} {'exist' if len(found) > 1 else 'exists'} in {folder}"
    if arguments.force:
        return "overwrite"
    if not asks:
        raise BadInput(f"{there}, and nothing was written", field="--force", fix="Add it to overwrite, or use another folder.")
    return "overwrite" if asked(f"{there}. Overwrite? [y/N] ").lower() in {"y", "yes"} else ""


def _say(answers: Answers, version: str, *, has_git: bool, online: bool) -> None:
    """Say what was written, what people should know, and the next two commands."""
    from tasks.rules.plan.starter import FIRST_VERSION
    from tasks.rules.plan.starter_files import SCHEMA_FILE, secrets_of

    _terminal.show(f"{PLAN}, {BLOCKS} and {SCHEMA_FILE} (for editors) are written: {answers.service}, by the method {answers.method}.")
    for note in _notes(answers):
        _terminal.show(f"Note: {note}")
    if not version:
        begin = "" if has_git else "git init && "
        tag = answers.tag.replace("{version}", FIRST_VERSION)
        _terminal.show(f"A release reads its changes from Git: {begin}git add . && git commit -m 'Add a plan' && git tag {tag}")
    secrets = "".join(f"{name}=… " for name in secrets_of(answers))
    _terminal.show("\nNext:")
    _terminal.show(f"  {'' if online else 'shipway up && '}{secrets}shipway blocks apply {BLOCKS}")
    _terminal.show(f"  shipway check {PLAN} --version {version or FIRST_VERSION}")


def _notes(answers: Answers) -> list[str]:
    """List what makes a release weaker than it could be, or what only the person knows."""
    found = []
    if answers.method == "local":
        found.append(
            f"only requests of Shipway's own to {answers.health} decide. Once there are users, remove `deciding: false` in {PLAN}."
        )
        if not any("{version}" in word for word in answers.command):
            found.append("the command is the same for every version. Write `{version}` in it if each version has a program of its own.")
    if answers.method == "gitops":
        workloads = " and ".join(answers.workloads)
        found.append(f"the Application {answers.service}, the branch main, and the workloads {workloads} are assumed. See {BLOCKS}.")
    if answers.method == "script-hosts":
        found.append(f"the user deploy, and the addresses {' and '.join(answers.addresses)}, are assumed if not given. See {BLOCKS}.")
    if answers.method.startswith("script"):
        found.append(f"the scripts are called as in {BLOCKS}, and {answers.health} must answer with 200. Write there how yours are called.")
    if not answers.approvers:
        found.append("releases need no approval.")
    return found
