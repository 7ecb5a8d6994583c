"""The page in a real browser: Debian's Chromium, driven by Playwright, looked over by axe-core.

Screenshots are left in build/screenshots.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThread

from pipetest.domain.interfaces import Time
from pipetest.domain.model import Secret
from pipetest.domain.status import Scan, ShownGist, Status
from pipetest.web.site import make_site
from tests.support.processes import daemon
from tests.support.web.held import HeldStore
from tests.support.web.sample import NOW, QUIET, TROUBLED
from tests.web.conftest import TOKEN, YEAR_S, Backstage, serve

sync_api: Any = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
SHOTS = Path(__file__).parents[2] / "build/screenshots"
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
GIST = TROUBLED.quarantine[0].id

BROKEN = """[...document.querySelectorAll("#latest td, .company")].filter((cell) => {
  const text = document.createRange();
  text.selectNodeContents(cell.firstChild);
  return text.getClientRects().length > 1 || text.getBoundingClientRect().right > cell.getBoundingClientRect().right;
}).map((cell) => cell.textContent)"""
"""What does not stand on one line, or stands out of its cell."""

OUTGROWN = """[...document.querySelectorAll("table")].filter((table) => {
  const card = table.parentElement;
  return table.offsetWidth > card.clientWidth - 2 * parseFloat(getComputedStyle(card).paddingLeft) + 1;
}).length"""
"""Tables wider than their card."""

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="apt-get install --no-install-recommends chromium"),
    pytest.mark.skipif(not AXE.exists(), reason="npm ci --prefix tests/web"),
]

T = TypeVar("T")


class Look:
    """A page in a browser of its own. What it complained of and whom it asked is kept."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.add(request.url))

    def open(self) -> None:
        self.page.goto(self.url)

    def expect(self, selector: str, text: str | re.Pattern[str]) -> None:
        sync_api.expect(self.page.locator(selector)).to_contain_text(text)


Visit = Callable[..., Any]


@pytest_twisted.async_yield_fixture
async def visit(store: HeldStore, backstage: Backstage) -> AsyncIterator[Visit]:
    """Runs a function of a :class:`Look` in a thread, while the site answers on the reactor."""
    from twisted.internet import reactor

    clock = cast(IReactorTime, reactor)
    site = make_site(
        store,
        [],
        Time(clock.seconds, clock.seconds),
        clock,
        YEAR_S,
        status=lambda: backstage.status,
        operations=backstage.operations,
        admin_token=Secret(TOKEN),
    )
    served = await serve(site, tls=False)
    url = f"http://127.0.0.1:{served.port.getHost().port}/"

    def run(looking: Callable[[Look], T], **context: Any) -> Any:
        return deferToThread(_looked, looking, url, context)

    yield run
    site.end_connections()
    await served.stop()


def _looked(looking: Callable[[Look], T], url: str, context: Any) -> T:
    with _browser() as browser:
        return looking(Look(browser.new_context(**context).new_page(), url))


@contextmanager
def _browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest_twisted.ensureDeferred
async def test_the_page_goes_live_without_a_complaint_and_asks_nobody_else(visit: Visit) -> None:
    def look(look: Look) -> None:
        look.open()
        look.expect("#line", "Live")
        look.expect("h1", "Well")
        assert look.complaints == []
        assert {url for url in look.asked if not url.startswith(look.url)} == set()

    await visit(look)


@pytest_twisted.ensureDeferred
async def test_a_new_gist_and_the_scans_progress_show_without_reload(visit: Visit, backstage: Backstage) -> None:
    def look(look: Look) -> None:
        look.open()
        look.expect("#line", "Live")
        look.page.evaluate("window.sameDocument = true")
        new = ShownGist(id="new0gist", user="octocat", created_at=NOW)
        backstage.status = replace(
            QUIET, latest=[new, *QUIET.latest], scan=Scan(under_way=True, started_at=NOW, users=9, visited=3)
        )
        look.expect("#latest tbody tr >> nth=0", re.compile("new0gist.*octocat.*waits"))
        look.expect("#scan", "3 of 9 users")
        assert look.page.locator("#scan progress").evaluate("bar => bar.value") == 3
        backstage.status = replace(backstage.status, troubles=["the disk is full"])
        look.expect("h1", "Trouble")
        look.expect("#told", "Trouble. the disk is full")  # as a screen reader is told
        assert look.page.title().startswith("Trouble · ")
        assert look.page.evaluate("window.sameDocument")

    await visit(look)


def test_whoever_looks_at_the_demonstration_sees_gists_come_and_become_deals(tmp_path: Path) -> None:
    new_on_top = "before => document.querySelector('#latest tbody th').textContent !== before"
    further = "before => document.querySelector('#deals progress').value > before"

    def look(look: Look) -> None:
        look.open()
        look.expect("#line", "Live")
        look.expect("#deals .figure", "All done")
        look.page.evaluate("window.sameDocument = true")
        newest = look.page.evaluate("document.querySelector('#latest tbody th').textContent")
        done = look.page.evaluate("document.querySelector('#deals progress').value")
        look.page.wait_for_function(new_on_top, arg=newest)
        look.page.wait_for_function(further, arg=done)
        look.expect("h1", "Well")
        assert look.page.evaluate("window.sameDocument")
        assert look.complaints == []

    with daemon(tmp_path, "--sandbox", LISTEN="tcp:0:interface=127.0.0.1") as process:
        port = process.line("WebSite starting on ([0-9]+)")[1]
        _looked(look, f"http://127.0.0.1:{port}/", {})


@pytest_twisted.ensureDeferred
async def test_without_events_the_page_asks_again_and_again(visit: Visit, backstage: Backstage) -> None:
    def look(look: Look) -> None:
        look.page.clock.install()
        look.page.route("**/events", lambda route: route.fulfill(status=503))
        look.open()
        look.expect("#line", "Asked every 5 seconds")
        backstage.status = TROUBLED
        look.page.clock.fast_forward(5_000)
        look.expect("h1", "Trouble")

    await visit(look)


@pytest_twisted.ensureDeferred
async def test_without_script_the_page_is_a_snapshot(visit: Visit, backstage: Backstage) -> None:
    backstage.status = TROUBLED

    def look(look: Look) -> None:
        look.open()
        look.expect("h1", "Trouble")
        look.expect("#line", "A snapshot")
        look.expect("#latest tbody", "24 Nov 2026, 05:59 UTC")
        sync_api.expect(look.page.locator("#controls")).to_be_hidden()

    await visit(look, java_script_enabled=False)


@pytest_twisted.ensureDeferred
async def test_whoever_has_the_token_can_act(visit: Visit, backstage: Backstage) -> None:
    backstage.status = TROUBLED

    def look(look: Look) -> None:
        look.open()
        sync_api.expect(look.page.get_by_role("button", name="Retry")).to_be_hidden()
        look.page.get_by_label("Admin token").fill(TOKEN)
        look.page.get_by_role("button", name="Use").click()
        for name in ("Scan now", "Pause creation", "Resume creation", f"Retry gist {GIST}"):
            look.page.get_by_role("button", name=name).click()
            look.expect("#controls output", "Done.")
            look.page.locator("#controls output").evaluate("output => output.textContent = ''")

    await visit(look)
    assert backstage.done == [("scan", None), ("pause", True), ("pause", False), ("retry", GIST)]


@pytest_twisted.ensureDeferred
async def test_a_wrong_token_opens_nothing(visit: Visit, backstage: Backstage) -> None:
    def look(look: Look) -> None:
        look.open()
        look.page.get_by_label("Admin token").fill("wrong")
        look.page.keyboard.press("Enter")
        look.page.get_by_role("button", name="Scan now").click()
        look.expect("#controls output", "this needs the admin token")
        sync_api.expect(look.page.get_by_role("button", name="Scan now")).to_be_hidden()

    await visit(look)
    assert backstage.done == []


@pytest_twisted.ensureDeferred
async def test_the_keyboard_reaches_the_content_first_and_keeps_its_place(visit: Visit, backstage: Backstage) -> None:
    backstage.status = TROUBLED

    def look(look: Look) -> None:
        look.open()
        look.page.keyboard.press("Tab")
        assert look.page.evaluate("document.activeElement.textContent") == "Skip to content"
        look.page.get_by_label("Admin token").fill(TOKEN)
        look.page.keyboard.press("Enter")
        look.page.locator(f"#retry-{GIST}").focus()
        backstage.status = replace(TROUBLED, quarantine=[replace(TROUBLED.quarantine[0], reason="422: another")])
        look.expect("#quarantine", "422: another")
        assert look.page.evaluate("document.activeElement.id") == f"retry-{GIST}"

    await visit(look)


@pytest.mark.parametrize(
    "selector",
    [f"#quarantine a[href$='{GIST}']", "#latest tbody tr >> nth=4 >> a >> nth=1", "#days summary"],
    ids=["gist", "deal", "figures"],
)
@pytest_twisted.ensureDeferred
async def test_what_is_shown_anew_keeps_the_keyboards_place(visit: Visit, backstage: Backstage, selector: str) -> None:
    backstage.status = TROUBLED
    new = ShownGist(id="new0gist", user="octocat", created_at=NOW)

    def look(look: Look) -> None:
        look.open()
        look.expect("#line", "Live")
        look.page.locator(selector).focus()
        before = look.page.evaluate("document.activeElement.outerHTML")
        backstage.status = replace(
            TROUBLED,
            quarantine=[replace(TROUBLED.quarantine[0], reason="422: another")],
            latest=[new, *TROUBLED.latest],
            days=[*TROUBLED.days[:-1], replace(TROUBLED.days[-1], gists=98)],
        )
        look.expect("#quarantine", "422: another")
        look.expect("#latest", "new0gist")
        look.expect("#days", "98")
        assert look.page.evaluate("document.activeElement.outerHTML") == before

    await visit(look)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("status", [QUIET, TROUBLED], ids=["quiet", "troubled"])
@pytest_twisted.ensureDeferred
async def test_everybody_can_read_it(
    visit: Visit, backstage: Backstage, status: Status, size: str, scheme: str
) -> None:
    backstage.status = status
    name = "troubled" if status.troubles else "quiet"

    def look(look: Look) -> Any:
        look.page.clock.set_fixed_time(NOW)
        look.open()
        look.expect("#line", "Live")
        look.page.get_by_label("Admin token").fill(TOKEN)
        look.page.keyboard.press("Enter")
        SHOTS.mkdir(parents=True, exist_ok=True)
        look.page.screenshot(path=SHOTS / f"{name}-{size}-{scheme}.png", full_page=True)
        assert look.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert look.page.evaluate(BROKEN) == []
        assert look.page.evaluate(OUTGROWN) == 0
        return look.page.evaluate(AXE.read_text(encoding="utf-8") + "; axe.run()")["violations"]

    violations = await visit(look, viewport=SIZES[size], color_scheme=scheme)
    assert [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in violations] == []
