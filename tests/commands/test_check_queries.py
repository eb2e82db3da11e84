"""`shipway check` lets the Prometheus that a plan names read the plan's queries."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from flows.commands import check
from flows.commands._demo_prometheus import uncommented
from tests.prometheus_server import PrometheusServer, prometheus_server

__all__ = ["prometheus_server"]
pytestmark = pytest.mark.server
EXAMPLE = Path(__file__).parents[2] / "examples" / "guestbook"


def asking(folder: Path, *, url: str = "", old: str = "", new: str = "") -> tuple[list[str], list[str]]:
    """Have the queries of the example's plan read, which names a block with this address; none where it is empty."""
    from blocks.prometheus.prometheus import Prometheus  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

    name = f"read-{uuid4().hex[:8]}"
    if url:
        Prometheus(url=url).save(name)
    text = uncommented((EXAMPLE / "shipway.yaml").read_text()).replace(
        "  min_requests:", f"  prometheus: prometheus/{name}\n  min_requests:"
    )
    assert old in text
    file = folder / "shipway.yaml"
    file.write_text(text.replace(old, new) if old else text)
    plan, problems, _ = check.look_at(file)
    assert plan is not None, problems
    return check.ask_prometheus(plan, file, online=True)


@pytest.mark.usefixtures("server")
def test_a_query_that_does_not_parse_is_found_at_its_line(tmp_path: Path, prometheus_server: PrometheusServer) -> None:
    """The server's own words, with file, line and field; the plan as it is has no problem."""
    assert asking(tmp_path, url=prometheus_server.url) == ([], [])
    (problem,), _ = asking(tmp_path, url=prometheus_server.url, old="total: 'sum(", new="total: 'sum((")
    line = next(number for number, text in enumerate((tmp_path / "shipway.yaml").read_text().splitlines(), start=1) if "sum((" in text)
    assert f"shipway.yaml:{line}:" in problem
    assert "judgement.slis[3].total" in problem
    assert "parse error" in problem


@pytest.mark.usefixtures("server")
def test_a_server_that_cannot_be_asked_is_a_warning(tmp_path: Path) -> None:
    """No one there, and no such block: the plan may still be right, and what was not looked at is said."""
    for url, said in (("http://127.0.0.1:9", "gave no answer"), ("", "cannot be read")):
        problems, (warning,) = asking(tmp_path, url=url)
        assert problems == []
        assert "the queries were not checked" in warning
        assert said in warning
