"""`shipway check`: list everything that is wrong with a plan, or what a release would do."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _output, _terminal

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from tasks.rules.plan.plan import Plan
    from tasks.rules.policy.comparison import Line

HELP = "Check a plan, and list what a release would do."
FINE, BAD_INPUT = 0, 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("plan", metavar="PLAN", nargs="?", default="shipway.yaml", help="the plan file (default: shipway.yaml)")
    parser.add_argument("--version", metavar="VERSION", help="the version that would be released (default: a placeholder)")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--schema", action="store_true", help="print the JSON Schema of plans for editors, and exit")
    _output.add_json(either)
    _terminal.add_home(parser)


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Fields:
        problems: What is wrong; empty if a release may start.
        warnings: What can still be fixed before a release, and which questions got no answer.
        steps: What a release would do, one sentence each; empty if there are problems.
        previews: What the platforms would change, by environment.
        rules: The rules of the plan and of its policies side by side; empty without a policy on this machine.
        power: What the steps can decide, the rows of a table by environment of production.
        windows: Whether production may change now, and when else; "" if no window says so.
    """

    plan: Plan | None
    version: str | None
    problems: list[str]
    warnings: list[str]
    steps: list[str]
    previews: Mapping[str, dict[str, Any]]
    rules: list[Line]
    power: Mapping[str, list[tuple[str, ...]]]
    windows: str


def run(arguments: argparse.Namespace) -> int:
    """Check a plan.

    Args:
        arguments: What `configure` described.

    Returns:
        0 if the plan is right, 2 if it or the version is not.
    """
    if arguments.schema:
        _terminal.show(schema_text(), end="")
        return FINE
    online = _terminal.enter(arguments)
    checked = _check(arguments, online=online)
    if arguments.json:
        _output.print_json(_facts(checked, file=arguments.plan))
    else:
        _print(checked, file=arguments.plan, online=online)
    return BAD_INPUT if checked.problems else FINE


def _check(arguments: argparse.Namespace, *, online: bool) -> Checked:
    from flows.commands._credentials import ask_credentials
    from flows.commands._documentation import ask_repository
    from flows.commands._policies import ask_policies, ask_source
    from flows.commands._power import ask_traffic
    from flows.commands._previews import ask_platforms
    from flows.commands._receivers import ask_forge, ask_receivers
    from flows.commands._windows import ask_windows
    from tasks.rules.rollout.summary import describe_course

    plan, problems, warnings = look_at(Path(arguments.plan))
    version, wrong = _version_of(arguments)
    previews: Mapping[str, dict[str, Any]] = {}
    rules: list[Line] = []
    windows = ""
    if plan is not None and not problems:
        weaker, rules = ask_policies(plan)
        elsewhere, unknown_source = ask_source(plan, arguments.plan, version=version) if not weaker else ([], [])
        closed, windows = ask_windows(plan)
        not_theirs, unasked = ask_credentials(plan, online=online)
        queries, notes = ask_prometheus(plan, Path(arguments.plan), online=online)
        refused, unknown, previews = ask_platforms(plan, version=version) if online and not wrong else ([], [], {})
        blocks = [ask(plan) for ask in (ask_receivers, ask_forge, ask_repository)] if online else []
        problems = [*weaker, *elsewhere, *closed, *not_theirs, *queries, *refused, *chain(*(problem for problem, _ in blocks))]
        warnings = [*warnings, *unknown_source, *unasked, *notes, *unknown, *chain(*(note for _, note in blocks))]
    problems += wrong
    if plan is None or problems:
        return Checked(plan, version, problems, warnings, [], previews, rules, {}, windows)
    current, note = current_versions(plan) if online else ({}, "")
    steps = list(describe_course(plan, version or "VERSION", current))
    power, undecidable = ask_traffic(plan, online=online)
    warnings += [*filter(None, [note]), *undecidable, *(compare_with_tag(arguments.plan, version) if version else [])]
    return Checked(plan, version, problems, warnings, steps, previews, rules, power, windows)


def _facts(checked: Checked, *, file: str) -> dict[str, Any]:
    return {
        "plan": file,
        "service": checked.plan.service if checked.plan else None,
        "version": checked.version,
        "ok": not checked.problems,
        "problems": checked.problems,
        "warnings": checked.warnings,
        "steps": checked.steps,
        "previews": checked.previews,
        "rules": [line._asdict() for line in checked.rules],
        "power": checked.power,
        "windows": checked.windows,
    }


def _print(checked: Checked, *, file: str, online: bool) -> None:
    import textwrap

    from flows.commands._policies import print_rules
    from flows.commands._power import print_power
    from flows.commands._previews import print_previews

    plan = checked.plan
    if plan is None or checked.problems:
        _terminal.show("\n".join(checked.problems), error=True)
        _terminal.show(f"{len(checked.problems)} problem(s) in {file}.", error=True)
        print_rules(checked.rules)
        return
    for warning in checked.warnings:
        _terminal.show(f"Warning: {warning}", error=True)
    _terminal.show(f"{file} is valid. A release of {plan.service} {checked.version or 'VERSION'} would do this:\n")
    for number, sentence in enumerate(checked.steps, start=1):
        _terminal.show(
            textwrap.fill(sentence, width=110, initial_indent=f"{number:>3}. ", subsequent_indent="     ", break_on_hyphens=False)
        )
    if checked.windows:
        _terminal.show(f"\n{checked.windows}.")
    print_rules(checked.rules)
    print_power(dict(checked.power))
    if online:
        print_previews(dict(checked.previews), version=checked.version)


def _version_of(arguments: argparse.Namespace) -> tuple[str | None, list[str]]:
    """Return the version that was given, or None, and what is wrong with it."""
    from blocks.errors import BadInput
    from tasks.rules.plan.version import check_version

    try:
        return (check_version(arguments.version) if arguments.version is not None else None), []
    except BadInput as error:
        return None, [str(error)]


def look_at(file: Path) -> tuple[Plan | None, list[str], list[str]]:
    """Read a plan and check that the files which it names exist.

    Args:
        file: The plan.

    Returns:
        The plan or None, every problem, and warnings: what may still be fixed before a release.
    """
    from tasks.data.suites import broken_suites
    from tasks.documentation.template import template_problems
    from tasks.evidence.deciding_files import unreadable_files
    from tasks.process.files import missing_files, read_bounded
    from tasks.rollout.manifests import read_manifests
    from tasks.rules.plan.file import MAX_BYTES, read_plan

    try:
        data = read_bounded(file, limit_bytes=MAX_BYTES)
    except (OSError, ValueError) as error:
        return None, [f"{file}: it cannot be read: {error}. Give the path of a plan file."], []
    if data is None:
        return None, [f"{file}: there is no such file. Give the path of a plan file, as `shipway check shipway.yaml`."], []
    plan, found = read_plan(data, name=str(file))
    if plan is None:
        return None, [str(problem) for problem in found], []
    folder = file.resolve().parent
    (problems, warnings), (broken, awaited) = missing_files(plan, folder), broken_suites(plan, folder)
    problems = [*problems, *broken, *read_manifests(plan, folder)[1], *template_problems(plan.documentation, folder)]
    problems, warnings = problems or unreadable_files(plan, folder), warnings + awaited
    return plan, [f"{file}: {problem}" for problem in problems], [f"{file}: {warning}" for warning in warnings]


def compare_with_tag(file: str, version: str) -> list[str]:
    """Say which files of the plan are not as the version's tag has them; nothing if there is no such tag yet."""
    import asyncio

    from blocks.errors import ShipwayError
    from tasks.evidence.inputs import read_plan
    from tasks.evidence.tagged import untagged

    async def compare() -> str:
        return await untagged(await read_plan(file), version)

    try:
        fault = asyncio.run(compare())
    except ShipwayError:
        return []
    return [f"{file}: {fault}"] if fault else []


def ask_prometheus(plan: Plan, file: Path, *, online: bool) -> tuple[list[str], list[str]]:
    """Let the plan's Prometheus parse and run its queries, if there are any and both servers answer.

    Args:
        plan: The plan.
        file: The path that it was read from.
        online: Whether a Prefect server is configured, which knows the block.

    Returns:
        A problem for each query that is wrong, and a note if Prometheus could not be asked.
    """
    from blocks.errors import ShipwayError
    from tasks.rules.plan.problems import Problem, spell
    from tasks.rules.plan.yaml_tree import read_tree

    if all(sli.source != "prometheus" for sli in plan.judgement.slis):
        return [], []
    if not online:
        return [], [
            f"{file}: the queries were not checked: no Prefect server is configured, which has the block {plan.judgement.prometheus}"
        ]
    import asyncio

    try:
        found = asyncio.run(_read_queries(plan))
    except ShipwayError as error:
        return [], [f"{file}: the queries were not checked: {error}"]
    places = read_tree(file.read_text(encoding="utf-8-sig")).places if found else {}
    fix = "Fix the query; the values that were filled in for names in braces are examples."
    return [str(Problem(str(file), *_place_of(path, places), spell(path), said, fix)) for path, said in found], []


async def _read_queries(plan: Plan) -> list[tuple[tuple[str | int, ...], str]]:
    from tasks.analysis.queries import check_queries
    from tasks.lifecycle.server import server
    from tasks.rollout.platforms import load_prometheus

    async with server():
        prometheus = await load_prometheus(plan.judgement)
    return await check_queries(prometheus, plan) if prometheus is not None else []


def _place_of(path: tuple[str | int, ...], places: Mapping[tuple[str | int, ...], tuple[int, int]]) -> tuple[int, int]:
    """Find a field's line and column; a default has those of its section."""
    while path not in places and path:
        path = path[:-1]
    return places.get(path, (1, 1))


def schema_text() -> str:
    """Write the JSON Schema of plans, as in docs/plan.schema.json."""
    from tasks.rules.plan.plan import Plan

    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Plan.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def current_versions(plan: Plan) -> tuple[Mapping[str, str | None], str]:
    """Ask the platforms which version runs now, if the configured Prefect server knows them.

    Args:
        plan: The plan.

    Returns:
        The version by environment, and why nothing is known, or "".
    """
    import asyncio

    from blocks.errors import ShipwayError

    async def ask() -> dict[str, str | None]:
        from tasks.lifecycle.server import server
        from tasks.rollout.platforms import load_platforms

        async with server():
            found = await load_platforms(plan)
            return {name: (await platform.current())["baseline"] for name, platform in found.items()}

    try:
        return asyncio.run(ask()), ""
    except ShipwayError as error:
        return {}, f"the running version is unknown: {error}"
