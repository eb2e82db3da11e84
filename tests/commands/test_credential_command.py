"""`shipway credential`, and what the check of a plan and pre_deploy say of the credentials that it names, against the real server."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest

from flows.cli import main
from flows.commands._credentials import ask_credentials
from tests.rules.plan.test_credentials import plan_of
from tests.tasks.faulty_server import serving


def make(monkeypatch: pytest.MonkeyPatch, *options: str, value: str = "hush-hush\n") -> int:
    """Make a credential, with its value from standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(value))
    return main(["credential", "told", "--service", "shop", *options])


@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_a_plan_is_refused_with_its_fix_until_the_block_lists_where_it_sends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the check and by pre_deploy, before anything is sent; the value is said nowhere."""
    from blocks.errors import BadInput  # noqa: PLC0415
    from flows.pre_deploy import pre_deploy  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

    file = tmp_path / "shipway.yaml"
    with serving() as accounts:
        spec = {"name": "accounts", "url": f"{accounts.url}/echo", "secret_headers": {"X-Key": "credential/told"}}
        parts = {"verification": {"health": [{}]}, "judgement": {"slis": [{"name": "a", "indicator": "errors"}]}, "data": [], "windows": {}}
        plan = plan_of(dependencies=[spec], **parts)
        file.write_text(json.dumps(plan.model_dump(mode="json", exclude_defaults=True)))
        assert await asyncio.to_thread(make, monkeypatch, "--host", "accounts.example.org") == 0
        assert "for shop: it may go to accounts.example.org" in capsys.readouterr().out
        ([problem], notes) = await asyncio.to_thread(ask_credentials, plan, online=True)
        assert f"credential/told may not be sent to {accounts.url}, which its `hosts` do not list" in problem
        assert notes == []
        with pytest.raises(BadInput, match="credential/told may not be sent"):
            await pre_deploy(str(file), "1.1")
        assert await asyncio.to_thread(make, monkeypatch, "--host", accounts.url) == 0
        assert await asyncio.to_thread(ask_credentials, plan, online=True) == ([], [])
        assert accounts.asked == []
    said = capsys.readouterr()
    assert "hush" not in said.out + said.err


@pytest.mark.parametrize(
    ("options", "value", "said"),
    [
        ([], "x", "--host, --platform"),
        (["--host", "https://a.example/path"], "x", "Write a host as `accounts.example.org`"),
        (["--host", "*"], "x", "Write a host as"),
        (["--platform", "shop"], "x", "Write a Prefect block as `type/name`"),
        (["--host", "a.example"], " \n", "its value is missing"),
    ],
)
@pytest.mark.server
@pytest.mark.usefixtures("server")
def test_a_credential_without_bounds_or_value_is_refused_with_the_fix(
    options: list[str], value: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the option that is wrong."""
    assert make(monkeypatch, *options, value=value) == 2
    assert said in capsys.readouterr().err


def test_the_summary_says_where_credentials_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also without a server, which is a warning, since nothing is known of the blocks."""
    (tmp_path / "s.yaml").write_text("expectations: [{type: expect_column_values_to_not_be_null, kwargs: {column: a}}]")
    file = tmp_path / "shipway.yaml"
    plan = plan_of(windows={}).model_dump(mode="json", exclude_defaults=True)
    file.write_text(json.dumps(plan))
    assert main(["check", str(file), "--json", "--home", str(tmp_path / "no-home")]) == 0
    found = json.loads(capsys.readouterr().out)
    (line,) = [step for step in found["steps"] if step.startswith("Credentials: ")]
    assert "credential/token: https://accounts.example.org; versions on local/shop-production" in line
    assert any("credential/token may go where the plan sends them is not known" in warning for warning in found["warnings"])
