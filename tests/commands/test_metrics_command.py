"""`shipway metrics` reads the records, without a server."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from flows.cli import main
from flows.commands import metrics
from tasks.record import storage
from tests.tasks.record.test_facts import ended


def parsed(*words: str) -> argparse.Namespace:
    """Read a command line."""
    parser = argparse.ArgumentParser()
    metrics.configure(parser)
    return parser.parse_args(words)


@pytest.fixture
async def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the records of a deployed release, and of an open one that was changed."""

    async def of_this_test() -> Path:
        return tmp_path

    monkeypatch.setattr(storage, "default_storage", of_this_test)
    await ended(tmp_path, "r1")
    await ended(tmp_path, "r2", closed=False)
    (tmp_path / "records" / "r2" / "00002.json").write_bytes(b"{}")
    return tmp_path


async def test_people_read_the_figures_and_what_cannot_be_trusted(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A service that no record names is not taken for one without releases."""
    assert records
    assert await metrics._metrics(parsed("--service", "shop")) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("shop, production: 1 releases ended from")
    assert "success rate          100\u00a0% (1 of 1)" in shown
    assert "In no figure: 1 with a record that cannot be trusted." in shown
    assert "Find out who changed these records, with `shipway report RUN`: r2" in shown
    assert await metrics._metrics(parsed("--service", "shpo")) == 0
    assert "No record names the service shpo; known are: shop" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["metrics", "history"])
def test_what_cannot_be_the_name_of_a_service_is_refused(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also bytes that are not UTF-8."""
    with pytest.raises(SystemExit, match="2"):
        main([command, "--service", "\udcff"])
    assert "is not the name of a service" in capsys.readouterr().err


async def test_programs_read_json(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the records that are left out."""
    assert records
    assert await metrics._metrics(parsed("--json", "--since", "1d")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["releases"], found["success_rate"]["value"], found["broken"], found["unchecked"]) == (1, 1, ["r2"], 0)


async def test_a_service_that_no_record_names_has_no_series(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That is said where programs do not read."""
    assert records
    for way in ("--prometheus", "--json"):
        assert await metrics._metrics(parsed(way, "--service", "shpo")) == 0
        shown = capsys.readouterr()
        assert "No record names the service shpo" in shown.err
        assert 'service="' not in shown.out
        assert '"deployments": 0' not in shown.out


async def test_prometheus_reads_each_service_by_itself(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else is printed."""
    assert records
    assert await metrics._metrics(parsed("--prometheus")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'shipway_release_success_ratio{environment="production",service="shop"} 1.0' in lines
    assert "shipway_records_broken 1.0" in lines
    assert [line for line in lines if not line.startswith(("#", "shipway_"))] == []


async def test_a_page_is_written_where_it_is_wanted(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what the figures cover on the terminal."""
    page = records / "page.html"
    assert await metrics._metrics(parsed("--html", str(page))) == 0
    assert f"{page}: 1 releases ended" in capsys.readouterr().out
    assert "Deployments of all services to production" in page.read_text(encoding="utf-8")


def test_without_a_home_directory_and_a_server_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input: a storage of Prefect's own would have no record, and that is not a release in no time."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert main(["metrics", "--home", str(tmp_path)]) == 2
    assert "there is no home directory" in capsys.readouterr().err
