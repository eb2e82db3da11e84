"""What a release reads that is not as it was tagged, on a real repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from blocks.errors import BadInput
from tasks.evidence.inputs import read_plan
from tasks.evidence.tagged import untagged
from tests.tasks.evidence.test_source import Repository

SMOKE = [{"name": "basic", "kind": "basic", "pytest": "smoke", "timeout_seconds": 10}]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Give a service whose plan lies in a folder, with a smoke test; tagged as v1.0."""
    made = Repository(tmp_path, plan="deploy/shipway.yaml")
    (made.plan.parent / "smoke").mkdir()
    for name in ("test_a.py", "test_b.py"):
        (made.plan.parent / "smoke" / name).write_text("def test_it() -> None:\n    pass\n")
    made.write(verification={"health": [{}], "smoke": SMOKE})
    made.git("add", ".")
    made.git("commit", "--quiet", "-m", "Test it")
    made.git("tag", "v1.0")
    return made


async def said(repository: Repository, version: str = "1.0") -> str:
    """Compare."""
    return await untagged(await read_plan(str(repository.plan)), version)


async def test_a_plan_as_it_was_tagged_says_nothing(repository: Repository) -> None:
    """Also if the files were checked out with other line ends, and other files of the repository changed."""
    assert await said(repository) == ""
    (repository.folder / "README").write_text("more\n")
    test = repository.plan.parent / "smoke" / "test_a.py"
    test.write_bytes(test.read_bytes().replace(b"\n", b"\r\n"))
    assert await said(repository) == ""


async def test_what_changed_since_the_tag_is_named(repository: Repository) -> None:
    """The plan, a test of a folder that changed and one that is gone; committed since, or not."""
    repository.plan.write_text(repository.plan.read_text() + "description: edited\n")
    repository.git("commit", "--quiet", "--all", "-m", "Say more")
    (repository.plan.parent / "smoke" / "test_a.py").write_text("")
    (repository.plan.parent / "smoke" / "test_b.py").unlink()
    wanted = "deploy/shipway.yaml, deploy/smoke/test_a.py, deploy/smoke/test_b.py"
    assert await said(repository) == f"not as in the tag v1.0, but as in the working folder: {wanted}"


async def test_a_plan_that_the_tag_does_not_have_is_named_and_an_unknown_tag_is_an_error(repository: Repository) -> None:
    """A plan that was written after the version."""
    other = repository.plan.with_name("other.yaml")
    other.write_text(repository.plan.read_text())
    repository.plan = other
    assert await said(repository) == "not as in the tag v1.0, but as in the working folder: deploy/other.yaml"
    with pytest.raises(BadInput, match=r"v2\.0"):
        await said(repository, "2.0")


async def test_no_filter_of_the_repository_runs(repository: Repository, tmp_path: Path) -> None:
    """A repository may name programs that Git would run to compare its files."""
    (repository.folder / ".gitattributes").write_text("* filter=evil\n")
    repository.git("config", "filter.evil.clean", f"touch {tmp_path}/ran; cat")
    repository.plan.write_text(repository.plan.read_text() + "description: edited\n")
    assert "deploy/shipway.yaml" in await said(repository)
    assert not (tmp_path / "ran").exists()
