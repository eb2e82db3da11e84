"""Source of a release: its repository, branches and signatures, as the policies of its platform blocks ask for them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from prefect import task

from blocks.errors import BadInput, Refused
from tasks.evidence.change_log import ask_git, commit_of, run_git, tag_of
from tasks.evidence.signed_objects import Forged, SignedObjects, signed_objects
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.plan.file import read_plan
from tasks.rules.policy.policy import Policy, Source
from tasks.rules.policy.source import Found, source_conflicts
from tasks.rules.record.canonical import canonical

BY_SSH = (
    "gpg.format=ssh",
    "gpg.ssh.program=ssh-keygen",
    "gpg.minTrustLevel=fully",
    # A repository could name a program that takes every signature: only ssh-keygen verifies here.
    "gpg.program=/bin/false",
    "gpg.openpgp.program=/bin/false",
    "gpg.x509.program=/bin/false",
)
TAG = "object {}\ntype commit\ntag {}\n"


@task(name="check source", **OBSERVE)
async def check_source(taken: TakenPlan, version: str, policies: Sequence[Policy]) -> None:
    """Expect that a version comes from where each policy wants it from.

    Args:
        taken: The plan, and where it lies.
        version: The version under release.
        policies: Those that protect the plan's blocks; without a `source` nothing is asked.

    Raises:
        Refused: It comes from elsewhere, or is not signed; a sentence for each.
        BadInput: Git cannot read the repository.
    """
    asking = [policy for policy in policies if policy.source is not None]
    if not asking:
        return
    plan, folder = taken.parsed(), taken.folder
    commit = await commit_of(folder, plan.change_log, version)
    faults = {policy.name: await _fault(taken, policy.source, commit, version) for policy in asking if policy.source}
    found = Found(
        commit=commit,
        remotes=await _remotes(folder),
        roots=tuple((await ask_git(folder, "rev-list", "--max-parents=0", commit)).split()),
        branches=await _branches(folder, commit),
        faults={name: fault for name, fault in faults.items() if fault},
    )
    problems = [problem for policy in asking for problem in source_conflicts(policy, found)]
    if problems:
        raise Refused(f"the release does not keep a policy. {' '.join(problems)}")


async def _remotes(folder: str) -> tuple[str, ...]:
    code, answer, _ = await run_git(folder, "config", "--local", "-z", "--get-regexp", r"^remote\..*\.url$")
    return tuple(entry.partition("\n")[2] for entry in answer.split("\0") if entry) if code == 0 else ()


async def _branches(folder: str, commit: str) -> tuple[str, ...]:
    listed = await ask_git(folder, "for-each-ref", f"--contains={commit}", "--format=%(refname)", "refs/heads", "refs/remotes")
    names = [ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ref.split("/", 3)[-1] for ref in listed.split()]
    return tuple(dict.fromkeys(name for name in names if name != "HEAD"))


async def _fault(taken: TakenPlan, source: Source, commit: str, version: str) -> str:
    """Say why a version is not signed as a policy asks; "" if it is, or need not be."""
    if source.signed == "none":
        return ""
    async with signed_objects(taken.folder) as objects:
        if source.signed == "tag":
            tag = tag_of(taken.parsed().change_log, version)
            # The tag's object itself is verified: a reference could name another version's, and could move meanwhile.
            signed = (await ask_git(taken.folder, "rev-parse", "--verify", "--end-of-options", f"refs/tags/{tag}")).strip()
            if signed == commit or not (await objects.take("tag", signed)).startswith(TAG.format(commit, tag).encode()):
                return f"the tag {tag} is not an annotated tag of that name on the commit {commit[:10]}"
            command, shown = "verify-tag", f"the tag {tag}"
        else:
            await objects.take("commit", commit)
            command, signed, shown = "verify-commit", commit, f"the commit {commit[:10]}"
        said = await _verify(objects.folder, command, signed, source)
        return f"{shown} has no valid signature of a signer ({said})" if said else await _changed(objects, taken, commit, shown)


async def _verify(folder: str, command: str, what: str, source: Source) -> str:
    """Say why a signature is not valid; "" if it is."""
    with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".signers") as file:
        file.write("".join(f"{signer}\n" for signer in source.signers))
        file.flush()
        code, _, said = await run_git(folder, command, what, settings=(*BY_SSH, f"gpg.ssh.allowedSignersFile={file.name}"))
    return (" ".join(said.split())[-200:] or "it is not signed") if code else ""


async def _changed(objects: SignedObjects, taken: TakenPlan, commit: str, shown: str) -> str:
    """Say that the plan which was taken is not the one that was signed; the file may have changed twice since."""
    try:
        path = Path(taken.path).relative_to(taken.repository).as_posix()
        signed = await objects.take_file(commit, path)
    except Forged:
        raise
    except (ValueError, BadInput):
        return f"the plan is not part of {shown}"
    plan, _ = read_plan(signed, name=path)
    same = plan is not None and canonical(plan) == canonical(taken.parsed())
    return "" if same else f"the plan differs from the one in {shown}"
