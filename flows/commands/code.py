"""`shipway code`: turn a challenge of a form into the code that answers it; needs no server and no network."""

from __future__ import annotations

import argparse

from flows.commands import _output, _secret, _terminal, _ticks

HELP = "Compute the code that answers the challenge of a form."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("challenge", metavar="CHALLENGE", help="the challenge beside your decision in the form, as 7K3M-0QZV-8R1D-XC5T")
    _ticks.add_ticks(parser)
    _secret.add_secret_file(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print eight digits.

    Args:
        arguments: What `configure` described.

    Returns:
        0 done, 2 if that is not a challenge or a secret, 4 if others may read the secret's file.
    """
    from blocks.errors import BadInput, Refused

    try:
        _output.show_secret(_code(arguments))
    except (BadInput, Refused) as error:
        _terminal.show(error, error=True)
        return _terminal.BAD_INPUT if isinstance(error, BadInput) else _terminal.REFUSED
    return _terminal.DONE


def _code(arguments: argparse.Namespace) -> str:
    from blocks.errors import BadInput
    from tasks.rules.approval.one_time_codes import code_of
    from tasks.rules.approval.statement import extended, read_challenge
    from tasks.rules.approval.ticks import ticks_text

    challenge = read_challenge(arguments.challenge)
    if challenge is None:
        fix = "Copy the 16 characters beside your decision in the form."
        raise BadInput(f"{arguments.challenge!r} is not a challenge", field="CHALLENGE", fix=fix)
    if ticks := _ticks.ticks_in(arguments):
        challenge = extended(challenge, ticks_text(ticks))
    code = code_of(_secret.read_secret(arguments.secret_file), challenge)
    return f"{code[:4]} {code[4:]}"
