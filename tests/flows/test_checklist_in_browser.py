"""The checklist as a person meets it: the form of a suspended run in the Prefect UI, in a real browser."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from tests.flows.test_gate_in_browser import ARGUMENTS, CHROMIUM, PATIENCE_MS, open_menu

pytestmark = [
    pytest.mark.server,
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: `apt-get install chromium` gets one"),
]
SECRET = SecretStr(base64.b32encode(bytes(range(35))).decode())


async def test_a_person_ticks_one_item_skips_another_and_leaves_a_third_open(server: Any) -> None:
    """Choices, evidence, name, code, Resume: what is read from the server is what was chosen, and its code is right for it."""
    from blocks.server import layout  # noqa: PLC0415 - the fixtures have paid for it
    from tasks.approval.ticks import fetch_ticks  # noqa: PLC0415
    from tasks.rules.approval.one_time_codes import code_of  # noqa: PLC0415
    from tasks.rules.approval.statement import extended  # noqa: PLC0415
    from tasks.rules.approval.ticks import Tick, ticks_text  # noqa: PLC0415
    from tasks.rules.approval.ticks_form import Progress, ticks_form  # noqa: PLC0415
    from tasks.rules.plan.checklist import TickedItem  # noqa: PLC0415
    from tests.commands.suspended import suspended_run  # noqa: PLC0415

    items = [
        TickedItem(name="backup", text="A backup was read", who=["anna"], evidence="link"),
        TickedItem(name="call-centre", text="The call centre knows", who=["ben"], skipped_by=["anna"]),
        TickedItem(name="load", text="The load is known", who=["anna"]),
    ]
    gate = await suspended_run(
        f"shop-{uuid4().hex[:6]}", items=items, shows=lambda gate: ticks_form(gate, Progress("production", items, {}))
    )
    ticks = [
        Tick(item="backup", did="done", evidence="https://ci.example/7"),
        Tick(item="call-centre", did="skipped", evidence="closed today"),
    ]
    code = code_of(SECRET, extended(gate.asked().challenge("approve"), ticks_text(ticks)))
    address = f"{layout.api_url(server.home).removesuffix('/api')}/v2/runs/flow-run/{gate.run}"
    await tick_in_browser(address, password=layout.auth_string(server.home), code=code)
    found = await fetch_ticks.fn(gate, items=items)
    assert (found.answer.approver, found.answer.code, list(found.ticks)) == ("anna", code, ticks)


async def tick_in_browser(address: str, *, password: str | None, code: str) -> None:
    """Open a suspended run's page, fill its form in as a person does, and send it."""
    from playwright.async_api import async_playwright  # noqa: PLC0415

    secret = base64.b64encode((password or "").encode()).decode()
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": 1400, "height": 1800})
        page.set_default_timeout(PATIENCE_MS)
        await page.add_init_script(f"localStorage.setItem('prefect-password', '{secret}')")  # as if logged in before
        await open_menu(page, address)
        await page.get_by_role("menuitem", name="Resume").click()
        form = page.get_by_role("dialog")
        await form.get_by_text("the checklist before production").wait_for()
        assert await form.locator("a").count() == 0
        for place, value in enumerate(("done", "skip")):
            await form.locator("fieldset button").nth(place).click()
            await page.get_by_role("option", name=value).click()
        for label, value in (
            ("Your name", "anna"), ("Code", code), ("backup: evidence", "https://ci.example/7"), ("call-centre: evidence", "closed today"),
        ):  # fmt: skip
            await form.get_by_label(label).fill(value)
        async with page.expect_response(lambda response: response.url.endswith("/resume")) as sent:
            await form.get_by_role("button", name="Resume").click()
        answered = await sent.value
        assert answered.ok, await answered.text()
        assert (await answered.json())["status"] == "ACCEPT", await answered.text()
        await browser.close()
