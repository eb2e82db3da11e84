"""`shipway check`: say everything that is wrong with a plan, or what a release under it would do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _terminal

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from tasks.rules.plan.plan import Plan

HELP = "Check a plan, and say what a release would do."
FINE, BAD_INPUT = 0, 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("plan", metavar="PLAN", nargs="?", default="shipway.yaml", help="the plan's file (default: shipway.yaml)")
    parser.add_argument("--version", metavar="VERSION", help="the version that would be released (default: a placeholder)")
    parser.add_argument("--schema", action="store_true", help="print the plan's JSON Schema for editors, and stop")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check a plan.

    Args:
        arguments: `plan`, `version`, `schema`.

    Returns:
        0 where the plan is right, 2 where it or the version is not.
    """
    if arguments.schema:
        print(schema_text(), end="")
        return FINE
    online = _terminal.enter(arguments)
    from flows.commands._previews import ask_platforms, print_previews

    plan, problems, warnings = look_at(Path(arguments.plan))
    version, wrong = _version_of(arguments)
    previews: dict[str, dict[str, Any]] = {}
    if plan is not None and not problems:
        said, notes = ask_prometheus(plan, Path(arguments.plan), online=online)
        refused, unknown, previews = ask_platforms(plan, version=version) if online and not wrong else ([], [], {})
        problems, warnings = [*said, *refused], [*warnings, *notes, *unknown]
    problems += wrong
    if plan is None or problems:
        print("\n".join(problems), file=sys.stderr)
        print(f"{len(problems)} problem(s) in {arguments.plan}.", file=sys.stderr)
        return BAD_INPUT
    for warning in warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    _print_course(plan, version=version or "VERSION", file=arguments.plan, online=online)
    if online:
        print_previews(previews, version=version)
    return FINE


def _version_of(arguments: argparse.Namespace) -> tuple[str | None, list[str]]:
    """Give the version that was asked about, or None, and what is wrong with it."""
    from blocks.errors import BadInput
    from tasks.rules.plan.version import check_version

    try:
        return (check_version(arguments.version) if arguments.version is not None else None), []
    except BadInput as error:
        return None, [str(error)]


def look_at(file: Path) -> tuple[Plan | None, list[str], list[str]]:
    """Read a plan and look for the files that it names.

    Args:
        file: The plan.

    Returns:
        The plan or None, every problem, and warnings that a release could still see fixed.
    """
    from tasks.data.suites import broken_suites
    from tasks.process.files import missing_files, read_bounded
    from tasks.rollout.manifests import read_manifests
    from tasks.rules.plan.file import MAX_BYTES, read_plan

    try:
        data = read_bounded(file, limit_bytes=MAX_BYTES)
    except (OSError, ValueError) as error:
        return None, [f"{file}: it cannot be read: {error}. Name the plan's file."], []
    if data is None:
        return None, [f"{file}: there is no such file. Name the plan's file, as `shipway check shipway.yaml`."], []
    plan, found = read_plan(data, name=str(file))
    if plan is None:
        return None, [str(problem) for problem in found], []
    folder = file.resolve().parent
    (problems, warnings), (broken, awaited) = missing_files(plan, folder), broken_suites(plan, folder)
    problems, warnings = [*problems, *broken, *read_manifests(plan, folder)[1]], warnings + awaited
    return plan, [f"{file}: {problem}" for problem in problems], [f"{file}: {warning}" for warning in warnings]


def ask_prometheus(plan: Plan, file: Path, *, online: bool) -> tuple[list[str], list[str]]:
    """Let the plan's Prometheus read its queries, where there are any and both servers can be reached.

    Args:
        plan: The plan.
        file: Where it was read.
        online: Whether a Prefect server is configured, which knows the block.

    Returns:
        A problem for each query that cannot be read, and a note where nobody could be asked.
    """
    from blocks.errors import ShipwayError
    from tasks.rules.plan.problems import Problem, spell
    from tasks.rules.plan.yaml_tree import read_tree

    if all(sli.source != "prometheus" for sli in plan.judgement.slis):
        return [], []
    if not online:
        return [], [f"{file}: no server is configured that knows {plan.judgement.prometheus}, so its queries were not read"]
    import asyncio

    try:
        found = asyncio.run(_read_queries(plan))
    except ShipwayError as error:
        return [], [f"{file}: the queries were not read: {error}"]
    places = read_tree(file.read_text(encoding="utf-8-sig")).places if found else {}
    fix = "Fix the query; what was filled in for the places is only an example."
    return [str(Problem(str(file), *_place_of(path, places), spell(path), said, fix)) for path, said in found], []


async def _read_queries(plan: Plan) -> list[tuple[tuple[str | int, ...], str]]:
    from tasks.analysis.queries import check_queries
    from tasks.lifecycle.server import server
    from tasks.rollout.platforms import load_prometheus

    async with server():
        prometheus = await load_prometheus(plan.judgement)
    return await check_queries(prometheus, plan) if prometheus is not None else []


def _place_of(path: tuple[str | int, ...], places: Mapping[tuple[str | int, ...], tuple[int, int]]) -> tuple[int, int]:
    """Find a field's line and column; a default stands where its section begins."""
    while path not in places and path:
        path = path[:-1]
    return places.get(path, (1, 1))


def schema_text() -> str:
    """Write the plan's JSON Schema as it is published in docs/plan.schema.json."""
    from tasks.rules.plan.plan import Plan

    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Plan.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def current_versions(plan: Plan) -> Mapping[str, str | None]:
    """Say what runs now, by environment, where the configured Prefect server knows the platforms; else say why nothing is known.

    Args:
        plan: The plan.

    Returns:
        The version by environment; empty where nothing is known.
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
        return asyncio.run(ask())
    except ShipwayError as error:
        print(f"What runs now is not known: {error}\n")
        return {}


def _print_course(plan: Plan, *, version: str, file: str, online: bool) -> None:
    import textwrap

    from tasks.rules.rollout.summary import describe_course

    current = current_versions(plan) if online else {}
    print(f"{file} is right. A release of {plan.service} {version} would do this:\n")
    for number, sentence in enumerate(describe_course(plan, version, current), start=1):
        print(textwrap.fill(sentence, width=110, initial_indent=f"{number:>3}. ", subsequent_indent="     ", break_on_hyphens=False))
