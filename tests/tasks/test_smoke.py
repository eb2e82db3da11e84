"""Smoke tests in real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.rules.errors import BadInput
from tasks.rules.plan import SmokeTest
from tasks.smoke import run_smoke_test

SEES = """
import os, pathlib
def test_target():
    assert os.environ["SHIPWAY_TARGET"] == "http://127.0.0.1:9"
    assert os.environ["SHIPWAY_VERSION"] == "1.1"
    assert "PREFECT_API_KEY" not in os.environ
    assert pathlib.Path.cwd() == pathlib.Path(__file__).parent
"""


async def smoke(folder: Path, text: str | None, *, path: str = "test_it.py", timeout_seconds: float = 30) -> dict[str, Any]:
    """Run one smoke test."""
    if text is not None:
        (folder / path).write_text(text)
    test = SmokeTest.model_validate({"name": "basics", "pytest": path, "timeout_seconds": timeout_seconds})
    return await run_smoke_test.fn(test, folder=str(folder), target="http://127.0.0.1:9", version="1.1")


async def test_a_smoke_test_learns_target_and_version_and_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in the plan's folder with a small environment, and leaves nothing there."""
    monkeypatch.setenv("PREFECT_API_KEY", "hush")
    found = await smoke(tmp_path, SEES)
    assert (found["name"], found["kind"], found["outcome"]) == ("basics", "basic", "passed"), found["output"]
    assert [path.name for path in tmp_path.iterdir()] == ["test_it.py"]  # noqa: ASYNC240


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def test_it(): assert 1 == 2, 'orders are lost'", "orders are lost"),
        ("import no_such_module", "no_such_module"),
        ("", "no tests ran"),
        ("import os\ndef test_it(): os._exit(0)", ""),
    ],
    ids=["a failing test", "a file that cannot be loaded", "no test at all", "a process that vanishes"],
)
async def test_a_smoke_test_that_says_nothing_good_is_no_pass(tmp_path: Path, text: str, said: str) -> None:
    """An exit status alone proves nothing: the report is what counts."""
    found = await smoke(tmp_path, text)
    assert found["outcome"] != "passed"
    assert found["reason"]
    assert said in found["output"]


async def test_a_smoke_test_that_hangs_is_ended_in_time(tmp_path: Path) -> None:
    """The time-out ends it, and says so."""
    found = await smoke(tmp_path, "import time\ndef test_it(): time.sleep(60)", timeout_seconds=1)
    assert found["outcome"] != "passed"
    assert "time-out" in found["reason"]


async def test_a_path_that_leaves_the_repository_is_refused(tmp_path: Path) -> None:
    """A link to elsewhere runs nothing."""
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / ".git").mkdir()
    (tmp_path / "elsewhere.py").write_text("")
    (tmp_path / "plan" / "test_it.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(BadInput, match="leaves the repository"):
        await smoke(tmp_path / "plan", None)
