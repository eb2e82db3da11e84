"""Smoke tests in real processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from prefect import flow

from blocks.errors import BadInput
from tasks.rules.plan.credentials import Receiver
from tasks.rules.plan.plan import SmokeTest, Verification
from tasks.rules.verification.performance import Baseline
from tasks.verification.smoke import run_smoke_test, run_smoke_tests
from tests.blocks.test_commands import is_gone

SHOP = Receiver("shop")
SEES = """
import os, pathlib
def test_target():
    assert os.environ["SHIPWAY_TARGET"] == "http://127.0.0.1:9"
    assert os.environ["SHIPWAY_VERSION"] == "1.1"
    assert "PREFECT_API_KEY" not in os.environ
    assert pathlib.Path.cwd() == pathlib.Path(__file__).parent
"""

REPORT = "import pathlib, sys\nreport = pathlib.Path(next(word for word in sys.argv if 'junitxml' in word).partition('=')[2])\n"


async def smoke(
    folder: Path, text: str | None, *, path: str = "test_it.py", timeout_seconds: float = 30, kind: str = "basic"
) -> dict[str, Any]:
    """Run one smoke test of 1.1, whose configuration has a hash, beside 1.0."""
    if text is not None:
        (folder / path).write_text(text)
    test = SmokeTest.model_validate({"name": "basics", "pytest": path, "timeout_seconds": timeout_seconds, "kind": kind})
    beside = Baseline("1.0", "http://127.0.0.1:8")
    version = "1.1+config.0f3a9c21b7"
    return await run_smoke_test.fn(test, folder=str(folder), target="http://127.0.0.1:9", version=version, receiver=SHOP, baseline=beside)


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
        ("import pytest\n@pytest.mark.skip\ndef test_it(): pass", "1 skipped"),
        ("import os\ndef test_it(): os.kill(os.getpid(), 9)", ""),
        (
            REPORT + "def test_it(): report.mkdir()",
            "",
        ),
    ],
    ids=[
        "a failing test",
        "a file that cannot be loaded",
        "no test at all",
        "a process that vanishes",
        "all skipped",
        "killed by a signal",
        "a report that cannot be written",
    ],
)
async def test_a_smoke_test_that_says_nothing_good_is_not_a_pass(tmp_path: Path, text: str, said: str) -> None:
    """An exit status alone proves nothing: the report is what counts."""
    found = await smoke(tmp_path, text)
    assert found["outcome"] != "passed"
    assert found["reason"]
    assert said in found["output"]


async def test_a_smoke_test_that_hangs_is_ended_in_time(tmp_path: Path) -> None:
    """The time-out ends it, and says so."""
    found = await smoke(tmp_path, "import time\ndef test_it(): time.sleep(60)", timeout_seconds=1)
    assert found["outcome"] != "passed"
    assert "timed out" in found["reason"]


FORKS = """
import os, time
def test_it():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            open("daemon", "w").write(str(os.getpid()))
            time.sleep(60)
        os._exit(0)
    while not os.path.exists("daemon") or not open("daemon").read():
        time.sleep(0.01)
"""


async def test_a_daemon_of_a_smoke_test_does_not_outlive_it(tmp_path: Path) -> None:
    """Nothing waits for it, and it is ended."""
    began = time.monotonic()
    found = await smoke(tmp_path, FORKS)
    assert found["outcome"] == "passed", found["output"]
    assert time.monotonic() - began < 20
    assert await is_gone(int((tmp_path / "daemon").read_text()))


async def test_a_smoke_test_that_prints_without_measure_is_kept_in_bounds(tmp_path: Path) -> None:
    """Of 100 MB the end is kept, and the report still decides."""
    found = await smoke(tmp_path, "import os\ndef test_it():\n    for _ in range(1600): os.write(2, b'x' * 65536)", path="test_it.py")
    assert len(found["output"]) <= 8_000
    assert found["outcome"] == "passed", found["reason"]


async def test_a_report_beyond_measure_is_not_a_pass(tmp_path: Path) -> None:
    """It is not read whole."""
    found = await smoke(
        tmp_path, REPORT + "import atexit\natexit.register(lambda: report.write_bytes(b' ' * 100_000_000))\ndef test_it(): pass"
    )
    assert (found["outcome"], "more than" in found["reason"]) == ("error", True)


async def test_only_a_performance_test_is_told_of_the_version_beside(tmp_path: Path) -> None:
    """SHIPWAY_BASELINE has its address; without one, and for other kinds, it is not set."""
    asks = "import os\ndef test_it(): assert os.environ.get('SHIPWAY_BASELINE') == {!r}"
    assert (await smoke(tmp_path, asks.format("http://127.0.0.1:8"), kind="performance"))["outcome"] == "passed"
    assert (await smoke(tmp_path, asks.format(None)))["outcome"] == "passed"


NOTES = """
import os, time
def test_it():
    begun = time.monotonic()
    time.sleep(0.3)
    open("NAME", "w").write(f"{begun} {time.monotonic()}")
"""


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_tests_run_side_by_side_within_the_limit_and_measurements_alone(tmp_path: Path) -> None:
    """Of five at most two at once; the two of performance after them and one by one; the order is the plan's."""
    names = ["p1", "a", "b", "c", "p2"]
    smoke = []
    for name in names:
        (tmp_path / f"test_{name}.py").write_text(NOTES.replace("NAME", name))
        smoke.append({"name": name, "pytest": f"test_{name}.py", "kind": "performance" if name.startswith("p") else "basic"})
    verification = Verification.model_validate({"health": [{}], "smoke": smoke, "smoke_concurrency": 2})

    @flow
    async def verifying() -> list[dict[str, object]]:
        return await run_smoke_tests(verification, folder=str(tmp_path), target="http://127.0.0.1:9", version="1.1", receiver=SHOP)

    found = await verifying()
    assert [(one["name"], one["outcome"]) for one in found] == [(name, "passed") for name in names]
    times = {name: tuple(map(float, (tmp_path / name).read_text().split())) for name in names}
    assert max(sum(begun <= moment < ended for begun, ended in times.values()) for moment, _ in times.values()) <= 2
    assert times["p1"][0] >= max(times[name][1] for name in "abc")
    assert times["p2"][0] >= times["p1"][1]


async def test_a_path_that_leaves_the_repository_is_refused(tmp_path: Path) -> None:
    """A link to elsewhere runs nothing."""
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / ".git").mkdir()
    (tmp_path / "elsewhere.py").write_text("")
    (tmp_path / "plan" / "test_it.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(BadInput, match="leaves the repository"):
        await smoke(tmp_path / "plan", None)
