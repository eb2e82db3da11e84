"""What a script is run with: its program, which must be there, its environment, its folder, and its user."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr

from blocks import processes
from blocks.errors import BadInput
from blocks.runner import Runner, runner
from blocks.script.words import ANY_PLACEHOLDER, filled
from blocks.secret_text import learn

GROUP = "shipway-scripts"


def check_program(name: str, command: Sequence[str], *, folder: str, search_path: str) -> None:
    """Expect that a command's program can be run, before anything is changed.

    Args:
        name: The command's field.
        command: Program and arguments.
        folder: Where it runs.
        search_path: The PATH that it is looked for in.

    Raises:
        BadInput: It is missing, or not executable.
    """
    program = command[0]
    if "/" not in program:
        if shutil.which(program, path=search_path) is None:
            message = f"the program `{program}` was not found on PATH"
            raise BadInput(message, field=f"scripts.{name}[0]", fix=f"Install it, or write `./{program}` if it lies in {folder}")
        return
    path = Path(folder) / program
    if not path.is_file():
        raise BadInput(f"{path} does not exist", field=f"scripts.{name}[0]", fix="Name a program that exists, or fix `working_directory`")
    if not os.access(path, os.X_OK):
        raise BadInput(f"{path} is not executable", field=f"scripts.{name}[0]", fix=f"chmod +x {path}")


def commands_before(commands: Mapping[str, Sequence[str]], known: Mapping[str, str]) -> dict[str, list[str]]:
    """Fill commands in by the block's fields, as far as that is known before a deployment; a word with another value is "".

    Args:
        commands: Each command by its field.
        known: The values that are known.
    """
    words = {f"scripts.{name}": filled(name, command, known) for name, command in commands.items()}
    return {name: ["" if ANY_PLACEHOLDER.search(word) else word for word in command] for name, command in words.items()}


def working_folder(directory: str) -> str:
    """Give the folder in which scripts run.

    Raises:
        BadInput: It is not a folder.
    """
    folder = Path(directory).expanduser().absolute()
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder", field="working_directory", fix="Name a folder that exists")
    return str(folder)


def user_of(name: str) -> tuple[Runner | None, dict[str, str]]:
    """Find the user that runs the scripts, None for ours, and the variables that say who it is.

    Whoever may edit blocks names the user, so root is never one, and another one must be in the group `shipway-scripts` of this machine.

    Args:
        name: As the block has it; "" is the user that runs a plan's commands.

    Raises:
        BadInput: It does not exist, or may not be used.
    """
    if not name:
        other = runner()
        return other, {} if other is None else _who(pwd.getpwuid(other.uid))
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise BadInput(f"this machine has no user {name}", field="user", fix="Create it, or leave `user` out") from None
    if found.pw_uid == os.geteuid() != 0:
        return None, {}
    if os.geteuid() != 0:
        raise BadInput("only root can start processes of another user", field="user", fix="Leave `user` out, or run Shipway as root")
    groups = os.getgrouplist(name, found.pw_gid)
    if found.pw_uid == 0 or _group() not in groups:
        fix = f"Name a user of the group {GROUP}: `usermod -aG {GROUP} USER`; what needs root goes through sudo"
        raise BadInput(f"scripts may not run as {name}", field="user", fix=fix)
    return Runner(found.pw_uid, found.pw_gid, tuple(groups)), _who(found)


def environment_of(own: Mapping[str, str], who: Mapping[str, str], *, known: Mapping[str, str]) -> dict[str, str]:
    """Make a script's whole environment: an allow-list of ours, the block's own variables, and what it is about.

    Args:
        own: The block's variables.
        who: Those of its user.
        known: What is filled into its command, which it also gets as `SHIPWAY_VERSION` and the like.
    """
    return processes.passed_on() | dict(who) | dict(own) | {f"SHIPWAY_{name.upper()}": value for name, value in known.items()}


class Renewed(NamedTuple):
    """The variables with the secrets that the block has by now, which a rollback takes turns with.

    Fields:
        kept: The file that says what the rollback goes by; "" outside of one.
        environment: The variables; empty outside of a rollback.
        reads: Whether `status` was found to fail with those of the release, and to answer with these.
    """

    kept: str = ""
    environment: dict[str, SecretStr] = {}  # noqa: RUF012 - a tuple's, and never changed
    reads: bool = False

    def settings(self) -> dict[str, Any]:
        """Give what an environment has of them."""
        return {"kept": self.kept, "renewed": plain(self.environment), "reads_renewed": self.reads}


def plain(variables: Mapping[str, SecretStr]) -> dict[str, str]:
    """Give a block's variables in plain text, and take note of them, so that no text of a release shows one."""
    found = {name: secret.get_secret_value() for name, secret in variables.items()}
    learn(found.values())
    return found


def _who(found: pwd.struct_passwd) -> dict[str, str]:
    return {"HOME": found.pw_dir, "USER": found.pw_name, "LOGNAME": found.pw_name}


def _group() -> int | None:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None
