"""Pages of Data Docs that show values: whatever stands in the data is text."""

from __future__ import annotations

import csv
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import async_playwright

from tasks.data.expectations import judge_tables
from tasks.rules.data.jobs import Job

pytestmark = [pytest.mark.attack, pytest.mark.timeout(300)]
VALUES = [
    '<meta http-equiv="refresh" content="0;url=data:text/html,evil">',
    "<script>document.title='evil'</script>",
    "<img src=x onerror=\"document.title='evil'\">",
    '" onmouseover="document.title=\'evil\'" x="',
    "' autofocus onfocus='document.title=1' x='",
    "javascript:document.title='evil'",
    "[link](javascript:document.title='evil')",
    "</style></title></textarea><svg onload=document.title='evil'>",
    "{{ 7*7 }} ${document.title} $column <!--",
    "&lt;script&gt;document.title='evil'&lt;/script&gt;",
]


class Tags(HTMLParser):
    """Keeps the tags of a page, with their attributes."""

    def __init__(self) -> None:
        """Begin."""
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep one."""
        self.found.append((tag, dict(attrs)))


async def test_values_of_data_are_text_in_the_pages_of_data_docs(tmp_path: Path) -> None:
    """In cells, attributes, column names, descriptions and notes; a browser that opens the page stays there and runs nothing."""
    rows = [[value] for value in VALUES]
    with (tmp_path / "hostile.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[VALUES[3]], *rows])
    source = {"csv": [str(tmp_path / "hostile.csv")], "max_rows": 100}
    asked = [
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": VALUES[3], "value_set": [value]},
            "description": value,
            "notes": value,
        }
        for value in VALUES
    ]
    asked += [
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": VALUES[3], "regex": "^<none>$"}},
        {"type": "expect_column_most_common_value_to_be_in_set", "kwargs": {"column": VALUES[3], "value_set": [VALUES[1]]}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": VALUES[2]}},
    ]
    jobs = [
        Job(name=name, title=VALUES[1], timeout_seconds=60).over(source, {"expectations": [one]}, show=True)
        for name, one in ((f"s{number}", one) for number, one in enumerate(asked))
    ]
    for finding in await judge_tables.fn(jobs, release="r1", storage=tmp_path):
        page = tmp_path / "records" / "r1" / finding["docs"]
        tags = Tags()
        tags.feed(page.read_text())
        assert not [one for one in tags.found if one[0] in {"script", "svg", "iframe", "base", "object", "img"}]
        assert not [one for one in tags.found if one[0] == "meta" and one[1].get("http-equiv") not in {None, "Content-Security-Policy"}]
        attributes = [(tag, name, value or "") for tag, attrs in tags.found for name, value in attrs.items()]
        assert not [one for one in attributes if one[1].startswith("on") or one[1] in {"autofocus", "x"}]
        assert not [
            one for one in attributes if one[1] in {"href", "src", "action"} and urlsplit(one[2]).scheme not in {"", "http", "https"}
        ]
        await stays_in_browser(page)


async def stays_in_browser(page: Path) -> None:
    """Open a page in chromium, move over all of it, and see that nothing of its values ran; without chromium nothing is opened."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = await browser.new_page()
        await tab.goto(page.as_uri())
        title = await tab.title()
        await tab.evaluate("document.querySelectorAll('*').forEach(one => one.dispatchEvent(new MouseEvent('mouseover', {bubbles: true})))")
        await tab.wait_for_load_state("networkidle")
        assert tab.url == page.as_uri()
        assert await tab.title() == title != "evil"
        await browser.close()
