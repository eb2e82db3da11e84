"""`shipway policy`: put policies beside the approval key, show and remove them. It works on files alone, on the worker's machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from flows.commands import _output, _terminal

HELP = "Protect environments: apply, list, show and remove policies."
FINE, BAD_INPUT, REFUSED = 0, 2, 4


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    _terminal.add_home(parser)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    apply = actions.add_parser("apply", help="check a policy file, and put it beside the approval key of this machine")
    apply.add_argument("file", type=Path, metavar="FILE", help="the policy file; docs/policy.md describes it")
    _output.add_json(actions.add_parser("list", help="list the policies and what they protect"))
    show = actions.add_parser("show", help="print a policy as it was applied")
    show.add_argument("name", metavar="NAME", help="the policy's name")
    _output.add_json(show)
    remove = actions.add_parser("remove", help="remove a policy; what it protected is no longer protected by it")
    remove.add_argument("name", metavar="NAME", help="the policy's name")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when done, 2 on bad input, 4 when the folder beside the key cannot be used.
    """
    _terminal.enter(arguments)
    from blocks.errors import BadInput, Refused

    actions = {"apply": _apply, "list": _list, "show": _show, "remove": _remove}
    try:
        return actions[arguments.action](arguments)
    except (BadInput, Refused) as error:
        _terminal.show(error, error=True)
        return BAD_INPUT if isinstance(error, BadInput) else REFUSED


def _apply(arguments: argparse.Namespace) -> int:
    from blocks.errors import BadInput
    from blocks.key_folder.key_file import create_key, key_path
    from blocks.key_folder.policy_files import write_policy_file
    from tasks.process.files import read_bounded
    from tasks.rules.plan.file import MAX_BYTES
    from tasks.rules.policy.policy import read_policy

    try:
        content = read_bounded(arguments.file, limit_bytes=MAX_BYTES)
    except OSError as error:
        raise BadInput(f"{arguments.file} cannot be read: {error}", field="FILE", fix="Give the path of a policy file.") from None
    if content is None:
        raise BadInput(f"{arguments.file} does not exist", field="FILE", fix="Give the path of a policy file.")
    policy, problems = read_policy(content, name=str(arguments.file))
    if policy is None:
        _terminal.show("\n".join(map(str, problems)), error=True)
        return BAD_INPUT
    written = write_policy_file(policy.name, content)
    _terminal.show(f"The policy {policy.name} protects {', '.join(policy.protects)} from now on: {written}")
    _terminal.show("Approvals that releases to these blocks wait for, or have, become void; people are asked again.")
    if not key_path().exists():
        create_key(key_path())
        _terminal.show(f"Warning: there was no approval key at {key_path()}, so one was made. Is this the worker's machine?", error=True)
    return FINE


def _list(arguments: argparse.Namespace) -> int:
    from blocks.key_folder.policy_files import policy_folder
    from tasks.approval.protection import load_policies

    found = load_policies()
    if arguments.json:
        listed = [{"name": one.name, "protects": one.protects, "services": one.services} for one in found]
        _output.print_json({"folder": policy_folder(), "policies": listed})
        return FINE
    for policy in found:
        _terminal.show(f"{policy.name}  protects {', '.join(policy.protects)} for {', '.join(policy.services)}")
    if not found:
        _terminal.show(f"There is no policy in {policy_folder()}; add one with `shipway policy apply FILE`")
    return FINE


def _show(arguments: argparse.Namespace) -> int:
    from blocks.key_folder.policy_files import read_policy_files

    files = read_policy_files()
    if arguments.name not in files:
        raise _unknown(arguments.name, list(files))
    if arguments.json:
        _output.print_json(_facts(files[arguments.name], arguments.name))
        return FINE
    _terminal.show(files[arguments.name].decode(errors="replace").rstrip("\n"))
    return FINE


def _facts(content: bytes, name: str) -> dict[str, Any]:
    """Give every field of a policy, also those that its file leaves out."""
    from blocks.errors import Refused
    from tasks.rules.policy.policy import read_policy

    policy, problems = read_policy(content, name=name)
    if policy is None:
        raise Refused(f"the policy {name} is wrong: {'; '.join(map(str, problems))}")
    return policy.model_dump(mode="json")


def _remove(arguments: argparse.Namespace) -> int:
    import re

    from blocks.key_folder.policy_files import policy_folder, remove_policy_file
    from tasks.rules.plan.types import NAME

    # A broken file can be removed too; the name is checked because it becomes a path.
    if not re.fullmatch(NAME, arguments.name) or not remove_policy_file(arguments.name):
        folder = policy_folder()
        raise _unknown(arguments.name, sorted(path.stem for path in folder.glob("*.yaml")) if folder.is_dir() else [])
    _terminal.show(f"The policy {arguments.name} is removed.")
    return FINE


def _unknown(name: str, known: list[str]) -> Exception:
    from blocks.errors import BadInput

    return BadInput(f"there is no policy {name!r}", field="NAME", fix=f"There are: {', '.join(known) or 'none'}.")
