"""Where a release comes from, on real repositories with real keys."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from blocks.errors import BadInput, Refused
from tasks.evidence.inputs import read_plan
from tasks.evidence.source import check_source
from tasks.rules.policy.policy import Policy

PLAN: dict[str, Any] = {
    "shipway": 1, "service": "shop", "verification": {"health": [{}]}, "checklist": {"tests_passed": False},
    "judgement": {"slis": [{"name": "errors", "indicator": "errors"}]}, "staging": {"platform": "local/shop-staging"},
    "production": {"platform": "local/shop", "steps": [{"percent": 100}]}, "approval": {"quorum": 0}, "rollback": {},
}  # fmt: skip
URL = "https://git.example.com/team/shop"


class Repository:
    """A repository of the service, and the keys of two people."""

    def __init__(self, folder: Path, *, object_format: str = "sha1", plan: str = "shipway.yaml") -> None:
        """Commit the plan."""
        self.folder, self.keys = folder / "shop", folder / "ssh"
        self.plan = self.folder / plan
        self.folder.mkdir()
        self.keys.mkdir()
        for name in ("ada", "mallory"):
            self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.keys / name))
        self.plan.parent.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", f"--object-format={object_format}")
        self.git("remote", "add", "origin", f"https://bot:secret@{URL.removeprefix('https://')}.git")
        self.write()
        self.git("add", ".")
        self.git("commit", "--quiet", "-m", "First")

    def run(self, *words: str) -> str:
        """Run a program here."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.keys)}
        return subprocess.run(words, cwd=self.folder, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    def git(self, *words: str, signer: str = "") -> str:
        """Run git, which signs with a person's key if one is named."""
        key = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={self.keys / signer}"] if signer else []
        return self.run("git", "-c", "user.name=t", "-c", "user.email=t@example.com", *key, *words)

    def write(self, **changes: Any) -> None:
        """Write the plan."""
        self.plan.write_text(yaml.safe_dump({**PLAN, **changes}))

    def signer(self, name: str) -> str:
        """Give a person's line of an allowed_signers file."""
        return " ".join([name, *(self.keys / f"{name}.pub").read_text().split()[:2]])

    async def check(self, version: str, **source: Any) -> str:
        """Give why a version is refused; "" if it is not."""
        policy = Policy.model_validate(
            {"policy": 1, "name": "shop", "protects": ["local/shop"], "services": ["shop"], "source": source}, strict=False
        )
        taken = await read_plan(str(self.plan))
        try:
            await check_source.fn(taken, version, [policy])
        except Refused as error:
            return str(error)
        return ""

    async def check_signed(self, version: str, signed: str = "tag") -> str:
        """Ask for ada's signature."""
        return await self.check(version, signed=signed, signers=[self.signer("ada")])


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Give a repository."""
    return Repository(tmp_path)


async def test_a_tag_that_a_signer_signed_is_taken(repository: Repository) -> None:
    """And the plan's comments and spaces do not count."""
    repository.git("tag", "-s", "-m", "1.1", "v1.1", signer="ada")
    assert await repository.check_signed("1.1") == ""
    path = repository.folder / "shipway.yaml"
    path.write_text(f"# a comment\n{path.read_text()}")
    assert await repository.check_signed("1.1") == ""


async def test_a_commit_that_a_signer_signed_is_taken(repository: Repository) -> None:
    """Its tag needs no signature then."""
    repository.git("commit", "--quiet", "--allow-empty", "-S", "-m", "Second", signer="ada")
    repository.git("tag", "v1.2")
    assert await repository.check_signed("1.2", "commit") == ""
    assert "is not an annotated tag of that name" in await repository.check_signed("1.2")


@pytest.mark.slow
async def test_what_a_signer_did_not_sign_is_refused(repository: Repository) -> None:
    """Without a signature, or with the one of another key."""
    repository.git("tag", "-a", "-m", "1.1", "v1.1")
    repository.git("tag", "-s", "-m", "1.2", "v1.2", signer="mallory")
    for version in ("1.1", "1.2"):
        said = await repository.check_signed(version)
        assert f"the tag v{version} has no valid signature of a signer" in said
        assert "`source.signed: tag` of the policy shop is not met" in said
        assert "the commit" in await repository.check_signed(version, "commit")


async def test_a_signed_tag_under_another_versions_name_is_refused(repository: Repository) -> None:
    """Else an old signature would let any version out."""
    repository.git("tag", "-s", "-m", "1.1", "v1.1", signer="ada")
    repository.git("update-ref", "refs/tags/v6.6", repository.git("rev-parse", "v1.1"))
    assert "is not an annotated tag of that name" in await repository.check_signed("6.6")


@pytest.mark.slow
async def test_a_plan_that_was_changed_after_the_signature_is_refused(repository: Repository) -> None:
    """In its file alone, or in one that is not part of the commit."""
    repository.git("tag", "-s", "-m", "1.1", "v1.1", signer="ada")
    repository.write(description="mine")
    assert "the plan differs from the one in the tag v1.1" in await repository.check_signed("1.1")
    repository.git("mv", "shipway.yaml", "other.yaml")
    repository.write()
    assert await repository.check_signed("1.1") == ""
    repository.git("commit", "--quiet", "--all", "-m", "Move")
    (repository.folder / "shipway.yaml").rename(repository.folder / "mine.yaml")
    taken = await read_plan(str(repository.folder / "mine.yaml"))
    source = {"signed": "tag", "signers": [repository.signer("ada")]}
    policy = Policy.model_validate({"policy": 1, "name": "shop", "protects": ["local/shop"], "services": ["shop"], "source": source})
    with pytest.raises(Refused, match=r"the plan is not part of the tag v1\.1"):
        await check_source.fn(taken, "1.1", [policy])


@pytest.mark.slow
@pytest.mark.parametrize("signed", ["tag", "commit"])
@pytest.mark.parametrize("kind", ["tag", "commit", "tree", "subtree", "blob"])
@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
async def test_an_object_whose_content_is_not_what_its_name_stands_for_is_refused(
    tmp_path: Path, object_format: str, kind: str, signed: str
) -> None:
    """Git reads it without a look at its hash, so who can write the folder could give the signed commit another plan."""
    if (kind, signed) == ("tag", "commit"):
        return  # not read
    repository = Repository(tmp_path, object_format=object_format, plan="deploy/prod/shipway.yaml")
    repository.git("commit", "--quiet", "--allow-empty", "-S", "-m", "Second", signer="ada")
    repository.git("tag", "-s", "-m", "1.1", "v1.1", signer="ada")
    assert await repository.check_signed("1.1", signed) == ""
    spots = {"tag": "v1.1", "commit": "HEAD", "tree": "HEAD^{tree}", "subtree": "HEAD:deploy/prod", "blob": "HEAD:deploy/prod/shipway.yaml"}
    right = repository.git("rev-parse", spots[kind])
    repository.write(description="mine")
    repository.git("add", ".")
    repository.git("commit", "--quiet", "-m", "Second")
    repository.git("tag", "-f", "-a", "-m", "1.1", "other")
    other = repository.git("rev-parse", spots[kind].replace("v1.1", "other"))
    objects = repository.folder / ".git" / "objects"
    stored = [objects / name[:2] / name[2:] for name in (right, other)]
    stored[0].chmod(0o644)
    stored[0].write_bytes(stored[1].read_bytes())
    said = "has no tag v1.1" if kind in {"tag", "commit"} else f"the {kind.removeprefix('sub')} {right[:10]} does not have the content"
    with pytest.raises(BadInput, match=said):  # of what a tag leads to, Git itself compares the hash
        await repository.check_signed("1.1", signed)


LIAR = """#!/bin/sh
case "$*" in
*find-principals*) echo ada ;;
*-Y*) cat > /dev/null; echo 'Good "git" signature for ada with ED25519 key SHA256:x' ;;
*) cat > /dev/null; printf 'STATUS\\n' ;;
esac
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("armour", "setting"),
    [
        ("SSH SIGNATURE", "gpg.ssh.program"),
        ("PGP SIGNATURE", "gpg.program"),
        ("PGP SIGNATURE", "gpg.openpgp.program"),
        ("SIGNED MESSAGE", "gpg.x509.program"),
    ],
)
async def test_a_repository_that_names_a_program_of_its_own_to_verify_is_refused(repository: Repository, armour: str, setting: str) -> None:
    """Its configuration is a file like any other of it, which whoever wrote the plan could write."""
    liar = repository.folder / "liar"
    liar.write_text(
        LIAR.replace("STATUS", "\\n[GNUPG:] GOODSIG 0123456789ABCDEF ada\\n[GNUPG:] VALIDSIG 01\\n[GNUPG:] TRUST_ULTIMATE 0 pgp")
    )
    liar.chmod(0o755)
    head = f"object {repository.git('rev-parse', 'HEAD')}\ntype commit\ntag v1.1\ntagger t <t@example.com> 1700000000 +0000\n\n1.1\n"
    (repository.folder / "object").write_text(f"{head}-----BEGIN {armour}-----\n\nAAAA\n-----END {armour}-----\n")
    repository.git("update-ref", "refs/tags/v1.1", repository.git("hash-object", "-t", "tag", "-w", "object"))
    repository.git("config", setting, str(liar))
    repository.git("config", "gpg.ssh.allowedSignersFile", "/dev/null")
    repository.git("verify-tag", "v1.1")  # git itself believes it
    assert "has no valid signature" in await repository.check_signed("1.1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"repositories": [URL]}, ""),
        ({"repositories": [f"{URL}.git/"]}, ""),
        ({"repositories": ["ROOT"]}, ""),
        ({"repositories": [f"{URL}-other", "a" * 40]}, "`source.repositories` of the policy shop does not list"),
        ({"branches": ["main"]}, ""),
        ({"branches": ["release/*", "m*n"]}, ""),
        ({"branches": ["release/*", "mai"]}, "lies on main, and on none of `source.branches`"),
    ],
)
async def test_repositories_and_branches_are_those_of_the_policy(repository: Repository, source: dict[str, Any], said: str) -> None:
    """The password in a remote's address does not count, and is not shown."""
    repository.git("tag", "v1.1")
    root = repository.git("rev-list", "--max-parents=0", "v1.1")
    known = {name: [root if one == "ROOT" else one for one in values] for name, values in source.items()}
    found = await repository.check("1.1", **known)
    assert said in found
    assert (found == "") == (said == "")
    assert "secret" not in found


async def test_a_branch_of_a_remote_counts_by_its_own_name(repository: Repository, tmp_path: Path) -> None:
    """A worker's clone often has no local branch."""
    repository.git("tag", "v1.1")
    repository.git("update-ref", "refs/remotes/origin/release/1.x", "v1.1")
    assert await repository.check("1.1", branches=["release/*"]) == ""
    shutil.rmtree(tmp_path / "ssh")
