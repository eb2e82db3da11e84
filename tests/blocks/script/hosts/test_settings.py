"""What a block of hosts may say, and what its hosts count together, as values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from blocks.platform import Counts, Platform
from blocks.script.hosts.counts import summed
from blocks.script.hosts.platform import ScriptHosts
from flows.commands.blocks import _placed, kinds
from tasks.rules.plan.blocks_file import read_blocks
from tests.blocks.script.hosts.farms import Farm

SCRIPTS = {name: ["./app.sh", name] for name in ("deploy", "status", "verify", "rollback")}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"hosts": []}, "at least 1 item"),
        ({"hosts": ["web 1"]}, "is not a host"),
        ({"hosts": ["web-1", "deploy@web-1:22"]}, "web-1 and deploy@web-1:22 are the same host"),
        ({"hosts": ["web-1"], "user": ""}, "web-1 names no user"),
        ({"hosts": ["deploy@web-1"], "user": "", "jump_hosts": ["bastion"]}, "bastion names no user"),
        ({"known_hosts": []}, "at least 1 item"),
        ({"scripts": {**SCRIPTS, "shift": ["./app.sh"]}}, "`shift` means nothing on hosts"),
        ({"at_once": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, fields: dict[str, Any], says: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValidationError, match=says):
        Farm(tmp_path, {}).platform(**{"hosts": ["web-1"], **fields})


def test_it_is_a_platform_whose_key_is_not_shown(tmp_path: Path) -> None:
    """It has every method; the same host may jump, and two accounts of one machine are two hosts."""
    found = Farm(tmp_path, {}).platform(hosts=["a@web-1", "b@web-1"], jump_hosts=["a@web-1"])
    assert isinstance(found, Platform)
    assert "secret-key" not in repr(found) + str(found.model_dump_json())


def test_counts_of_hosts_are_summed_and_begin_anew_with_any_of_them() -> None:
    """Of the histograms the bounds that all have are kept."""
    one = Counts(started="script 1", requests=10, errors=1, buckets={"0.1": 4, "0.5": 9, "+Inf": 10})
    two = Counts(started="script 2", requests=5, errors=0, buckets={"0.5": 5, "+Inf": 5})
    found = summed({"web-1": {"1.0": one}, "web-2": {"1.0": two, "1.1": two}})
    assert {**found["1.0"], "started": ""} == Counts(started="", requests=15, errors=1, buckets={"0.5": 14, "+Inf": 15})
    assert found["1.1"]["requests"] == 5
    again = summed({"web-1": {"1.0": {**one, "started": "script 9"}}, "web-2": {"1.0": two}})
    assert again["1.0"]["started"] != found["1.0"]["started"]
    assert summed({}) == {}


def test_the_documented_block_is_read_as_it_stands() -> None:
    """Its key from the environment, its folder as it is on the hosts, and its secrets hidden from the API."""
    text = (Path(__file__).parents[4] / "docs" / "scripts.md").read_text(encoding="utf-8").partition("## On hosts")[2]
    content = text.partition("```yaml\n")[2].partition("```")[0]
    blocks, problems = read_blocks(content.encode(), name="blocks.yaml", kinds=kinds(), environ={"SHOP_SSH_KEY": "line\nline\n"})
    assert problems == []
    found = _placed(blocks["script-hosts/shop-production"], Path("/srv/here"))
    assert isinstance(found, ScriptHosts)
    assert (found.key.get_secret_value(), found.working_directory, found.at_once) == ("line\nline\n", "shop", 2)
    assert {"key", "environment.*"} <= set(ScriptHosts.model_json_schema()["secret_fields"])
