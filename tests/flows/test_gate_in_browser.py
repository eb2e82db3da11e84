"""The gate as a person meets it: the Prefect UI in a real browser."""

from __future__ import annotations

import base64
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.flows.gatehouse import enrol, go_on
from tests.flows.harness import Stage, check_closed, check_well
from tests.flows.processes import Traffic

if TYPE_CHECKING:
    from playwright.async_api import Request

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATIENCE_MS = 90_000

pytestmark = [
    pytest.mark.server,
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: `apt-get install chromium` gets one"),
]


async def test_a_person_fills_the_form_in_and_the_release_goes_on(stage: Stage, visitors: Traffic, server: Any) -> None:  # noqa: ARG001 - without requests nothing passes
    """Menu, Resume, decision, name, code, comment, Resume: the release is approved by that person and is deployed.

    The form has no link, and the browser asked no host but the server.
    """
    from blocks.server import layout  # noqa: PLC0415 - the fixtures have paid for it

    people = await enrol(server)
    ada = people.names[0]
    about = "A book at http://127.0.0.1:9/book, www.evil.example, ask ada@evil.example"
    run = await stage.release(stage.tag("4.1"), plan=stage.plan(approval=people.section(), description=about))
    assert (await go_on(stage, run)).state == "Suspended"
    own = f"{layout.api_url(server.home).removesuffix('/api')}/"
    code = await people.code(ada, run)
    asked = await answer_in_browser(f"{own}v2/runs/flow-run/{run}", password=layout.auth_string(server.home), name=ada, code=code)
    assert any(address.startswith(f"{own}v2/assets/") for address in asked)
    assert [address for address in asked if not address.startswith((own, "data:", f"blob:{own}"))] == []
    ran = await go_on(stage, run)
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version="4.1")
    approval = next(entry for entry in ran.entries if entry.kind == "approval" and entry.evidence.get("decision"))
    assert (approval.who, approval.evidence["proof"]["comment"]) == (ada, "looked at it in the browser")


async def open_menu(page: Any, address: str) -> None:
    """Open a run's page and its menu; again if the browser gave up loading, as it does when a network interface comes or goes."""
    from playwright.async_api import Error  # noqa: PLC0415

    for patience in (20_000, 20_000, 20_000, PATIENCE_MS):
        try:
            await page.goto(address)
            await page.get_by_role("button", name="Open menu").first.click(timeout=patience)
        except Error:
            if patience == PATIENCE_MS:
                raise
        else:
            return


async def answer_in_browser(address: str, *, password: str | None, name: str, code: str) -> list[str]:
    """Open a suspended run's page, fill its form in as a person does, and send it.

    Returns:
        The addresses that the browser asked; what the page's own policy blocked was not asked.
    """
    from playwright.async_api import async_playwright  # noqa: PLC0415

    secret = base64.b64encode((password or "").encode()).decode()
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": 1400, "height": 1300})
        page.set_default_timeout(PATIENCE_MS)
        asked: list[Request] = []
        blocked: list[Request] = []
        page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - playwright refuses a built-in method
        page.on("requestfailed", lambda request: blocked.append(request) if request.failure == "csp" else None)
        await page.add_init_script(f"localStorage.setItem('prefect-password', '{secret}')")  # as if logged in before
        await open_menu(page, address)
        await page.get_by_role("menuitem", name="Resume").click()
        form = page.get_by_role("dialog")
        await form.get_by_text("may it go to production?").wait_for()
        await form.get_by_text("Digest").first.wait_for()
        await form.get_by_text("A book at http").wait_for()
        assert await form.locator("a").count() == 0
        for place, value in enumerate(("approve", name)):
            await form.locator("fieldset button").nth(place).click()
            await page.get_by_role("option", name=value).click()
        await form.get_by_role("textbox").nth(1).fill("looked at it in the browser")
        await form.get_by_role("textbox").nth(0).fill(code)
        async with page.expect_response(lambda response: response.url.endswith("/resume")) as sent:
            await form.get_by_role("button", name="Resume").click()
        assert (await sent.value).ok
        await browser.close()
    return [request.url for request in asked if request not in blocked]
