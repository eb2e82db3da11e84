"""What `shipway init` reads and writes: the answers, from options or from a person, the tags of the repository, and the files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flows.commands import _terminal

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from tasks.rules.plan.starter import Answers

Value = TypeVar("Value")
MODE = 0o666  # as the person's umask says
QUESTIONS = {
    "service": "What is the service called?",
    "method": "How is it deployed? {methods}",
    "local": "Which program serves it, with {{port}} for its port and {{version}} for its version?",
    "script": "Which program deploys, with {{environment}} for staging or production? Behind it: deploy VERSION, status, verify VERSION.",
    "script-hosts": "Which program deploys on a host? Behind it: deploy VERSION, status, verify VERSION.",
    "hosts": "On which hosts? Those of staging, then those of production, as stage-1 web-1,web-2.",
    "workload": "Which workloads are staging and production, as NAMESPACE/NAME?",
    "repository": "Which repository does Argo CD deploy from?",
    "edit": "Which value in it is the version, as FILE:PATH, or FILE:image=NAME of a kustomization?",
    "address": "Where are staging and production reached, as http://HOST:PORT?",
    "health": "Which path answers with 200 if the service is well?",
    "approvers": "Who approves a release, apart from the one who asks for it? Names, or none.",
}


def collect(arguments: argparse.Namespace, folder: Path, *, tags: list[str], asks: bool) -> Answers:
    """Check the options, ask for what is missing, or take its default.

    Args:
        arguments: Of the command.
        folder: Whose name the service has by default.
        tags: Of the repository.
        asks: Whether there is a terminal to ask on.

    Raises:
        BadInput: An option is wrong, does not belong to the method, or is missing and there is no terminal.
    """
    from tasks.rules.plan import starter

    missing = _missing(arguments)
    if missing and not asks:
        raise _without_a_terminal(arguments, missing)
    asks = bool(missing)  # whoever gives all that has no default gets the defaults of the rest, as without a terminal
    service = _answer("service", arguments.service, starter.check_service, asks=asks, default=starter.service_of(folder.name))
    method = _answer("method", arguments.method, starter.check_method, asks=asks, default="local")
    _expect_fitting(arguments, method)
    found: dict[str, Any] = {}
    for option in starter.OF_METHOD[method]:
        checks, default = _check_of(option, method, service, found.get("hosts", ()))
        is_asked = asks and option in starter.ASKED[method]
        given = getattr(arguments, "program" if option == "command" else option)
        text = " ".join(given) if isinstance(given, list) else given
        found[option] = _answer(method if option == "command" else option, text, checks, asks=is_asked, default=default)
    approvers = _answer("approvers", arguments.approvers, starter.check_approvers, asks=asks)
    return starter.Answers(
        service=service,
        method=method,
        approvers=approvers,
        tag=starter.propose(tags, service).tag,
        **{{"workload": "workloads", "address": "addresses"}.get(option, option): value for option, value in found.items()},
    )


def asked(prompt: str) -> str:
    """Read a line from the terminal.

    Raises:
        EOFError: It ended.
    """
    _terminal.show(prompt, end="")
    return input().strip()


def read_tags(folder: Path) -> list[str] | None:
    """List the tags of the repository that a folder lies in; None if it is not in one, or Git is not there."""
    import asyncio

    from blocks.errors import ShipwayError
    from tasks.evidence.change_log import ask_git

    try:
        listed = asyncio.run(ask_git(folder, "for-each-ref", "--format=%(refname:strip=2)", "refs/tags"))
    except (ShipwayError, OSError):
        return None
    return [line for line in listed.splitlines() if line]


def write_all(folder: Path, texts: Mapping[str, str], answers: Answers, *, overwrite: bool) -> None:
    """Write the files, once the plan and the blocks are as `check` and `blocks apply` want them.

    All of them are written, or none, unless files that exist are replaced.

    Args:
        folder: Where.
        texts: By file name, the plan first and then the blocks.
        answers: For the names of the secrets.
        overwrite: Whether files that exist are replaced.

    Raises:
        BadInput: An answer makes a wrong file, or a file came into being meanwhile.
        OSError: The folder cannot be written.
    """
    from tasks.record.files import replace_file

    _expect_right(texts, answers)
    written: list[str] = []
    try:
        for name, text in texts.items():
            if overwrite:
                replace_file(folder, name, text.encode(), mode=MODE)
            else:
                _create(folder, name, text)
                written.append(name)
    except BaseException:
        for name in written:
            (folder / name).unlink(missing_ok=True)
        raise


def _create(folder: Path, name: str, text: str) -> None:
    from blocks.errors import BadInput
    from tasks.record.files import create_file

    if not create_file(folder, name, text.encode(), mode=MODE):
        raise BadInput(f"{folder / name} exists, and nothing was written", field="--force", fix="Add it to overwrite.")


def _expect_right(texts: Mapping[str, str], answers: Answers) -> None:
    """Refuse answers that make a wrong file in a way that no check of one answer sees."""
    from blocks.errors import BadInput
    from flows.commands.blocks import kinds
    from tasks.rules.plan.blocks_file import read_blocks
    from tasks.rules.plan.file import read_plan
    from tasks.rules.plan.starter_files import secrets_of

    (plan, plan_text), (blocks, blocks_text), *_ = texts.items()
    environ = dict.fromkeys(secrets_of(answers), "-")
    problems = [
        *read_plan(plan_text, name=plan)[1],
        *read_blocks(blocks_text, name=blocks, kinds=kinds(), environ=environ)[1],
    ]
    if problems:
        raise BadInput("; ".join(map(str, problems)), field="the answers", fix="Nothing was written; give others.")


def _answer(name: str, given: str | None, check: Callable[[str], Value], *, asks: bool, default: str = "") -> Value:
    """Give the value of an option: as given, as asked until it is right, or its default."""
    from blocks.errors import BadInput
    from tasks.rules.plan.starter import METHODS

    if given is not None or not asks:
        return check(default if given is None else given)
    methods = "".join(f"\n  {method:<10}  {words}" for method, words in METHODS.items()) + "\n"
    prompt = QUESTIONS[name].format(methods=methods) + (f" [{default}] " if default else " ")
    while True:
        try:
            return check(asked(prompt) or default)
        except BadInput as error:
            _terminal.show(f"{error.wrong[:1].upper()}{error.wrong[1:]}. {error.fix}", error=True)


def _check_of(option: str, method: str, service: str, hosts: tuple[tuple[str, ...], ...]) -> tuple[Callable[[str], object], str]:
    """Give what checks an option of a method, and its default, "" if it has none."""
    from tasks.rules.plan import starter

    return {
        "command": (lambda text: starter.check_command(text, method), ""),
        "workload": (lambda text: starter.check_workloads(starter.words_of(text)), " ".join(starter.workloads_of(service))),
        "hosts": (_check_hosts, ""),
        "address": (lambda text: starter.check_addresses(starter.words_of(text)), " ".join(starter.addresses_of(hosts))),
        "repository": (_check_repository, ""),
        "edit": (starter.check_edit, ""),
        "health": (starter.check_health, starter.HEALTH),
    }[option]


def _check_repository(text: str) -> str:
    """Check the address of a repository as the block `git` does."""
    from blocks.errors import BadInput
    from blocks.git.remote import check_remote

    try:
        check_remote(text, has_token=text.startswith(("http:", "https:")))
    except BadInput as error:
        raise BadInput(error.wrong, field="--repository", fix=error.fix) from None
    return text


def _check_hosts(text: str) -> tuple[tuple[str, ...], ...]:
    """Check the hosts as the block `script-hosts` does."""
    from blocks.errors import BadInput
    from blocks.script.hosts.names import read_name
    from tasks.rules.plan.starter import check_hosts

    found = check_hosts(text.split())
    try:
        for host in (*found[0], *found[1]):
            read_name(host)
    except ValueError as error:
        raise BadInput(str(error), field="--hosts", fix="Write it as [USER@]HOST[:PORT].") from None
    return found


def _missing(arguments: argparse.Namespace) -> list[str]:
    """List the options without a default that are not given; without a method only those of every method are known."""
    from tasks.rules.plan.starter import ASKED

    defaults = {"workload", "health"}
    wanted = ["method", *ASKED.get(arguments.method or "", ()), "approvers"]
    return [one for one in wanted if one not in defaults and getattr(arguments, "program" if one == "command" else one) is None]


def _without_a_terminal(arguments: argparse.Namespace, missing: list[str]) -> Exception:
    from blocks.errors import BadInput
    from tasks.rules.plan.starter import METHODS, OF_METHOD

    methods = [arguments.method] if arguments.method else list(METHODS)
    told = "; ".join(f"with --method {method} also {', '.join(f'--{one}' for one in OF_METHOD[method])}" for method in methods)
    fix = f"Options are --service, --method, --approvers; {told}. `shipway init --help` describes them."
    return BadInput("there is no terminal to ask on", field=", ".join(f"--{one}" for one in missing), fix=fix)


def _expect_fitting(arguments: argparse.Namespace, method: str) -> None:
    """Refuse an option of another method: it would be ignored."""
    from blocks.errors import BadInput
    from tasks.rules.plan.starter import OF_METHOD

    for option in sorted({one for options in OF_METHOD.values() for one in options} - set(OF_METHOD[method])):
        if getattr(arguments, "program" if option == "command" else option) is not None:
            fix = f"Leave it out, or choose {' or '.join(one for one, options in OF_METHOD.items() if option in options)}."
            raise BadInput(f"the method {method} does not take it", field=f"--{option}", fix=fix)
