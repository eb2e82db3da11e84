"""A script that failed half-way in one step: `verify` says whether it started the version, whatever `status` says."""

from __future__ import annotations

from pathlib import Path

import pytest

from blocks.errors import RolloutFailed
from tasks.rules.rollout.left import may_have_requests
from tests.blocks.script.apps import make_app

UP = ["grep", "-qxF", "{version}", "up"]


@pytest.mark.parametrize(
    ("up", "yes"),
    [("", False), ("1.0", False), ("1.1-fails", True)],
    ids=["nothing is up", "it did nothing", "it started the version"],
)
async def test_a_version_whose_script_failed_may_have_requests_only_if_it_is_up(tmp_path: Path, up: str, *, yes: bool) -> None:
    """`status` goes by a file that the script writes last."""
    app = make_app(tmp_path)
    (tmp_path / "up").write_text("1.0\n")
    scripts = {**app.platform().scripts.given(), "verify": UP}
    lease = await app.begin("1.1-fails", scripts=scripts)
    platform = app.platform(scripts=scripts)
    assert (await platform.current())["ready"] == {"1.0": True, "1.1-fails": False}
    with pytest.raises(RolloutFailed):
        await platform.shift(100, lease)
    (tmp_path / "up").write_text(f"{up}\n")
    position = await platform.current()
    assert (position["baseline"], position["canary"], position["percent"]) == ("1.0", "1.1-fails", 0)
    assert may_have_requests(position, in_place=platform.strategy == "rolling") is yes
