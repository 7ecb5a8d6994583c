"""The page in a real browser: Debian's Chromium, driven by Playwright, checked by axe-core.

Screenshots are left in build/screenshots.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.threads import blockingCallFromThread, deferToThread

from pipetest.domain.model import Secret
from pipetest.domain.status import AuditState, Creation, NextDeal, Scan, ShownGist, Waiting
from pipetest.monitoring.health import with_problems
from pipetest.web.site import WebSite
from tests.support.daemon_process import daemon
from tests.support.web.sample import NOW, PROBLEMS, QUIET, WITH_PROBLEMS
from tests.support.web.serving import TOKEN, Served, serve, site_of
from tests.support.web.store import BlockableStore
from tests.support.web.stub_daemon import StubDaemon

sync_api: Any = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
SHOTS = Path(__file__).parents[2] / "build/screenshots"
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SMALLEST = {"width": 320, "height": 568}
GIST = WITH_PROBLEMS.quarantine[0].id
LATER = replace(QUIET.instance, version="2.0.1", started_at=NOW - 5)
STATES = {"Healthy": QUIET, "Problem": WITH_PROBLEMS}

BROKEN = """[...document.querySelectorAll("#latest p, .title, .brand, td, th, dd, button, h1, h2")].filter((cell) => {
  if (!cell.firstChild || cell.offsetParent === null) return false;
  const text = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  while (text.nextNode()) {
    for (const word of text.currentNode.data.matchAll(/[^\\s/-]+/g)) {
      const range = document.createRange();
      range.setStart(text.currentNode, word.index);
      range.setEnd(text.currentNode, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1) return true;
    }
  }
  return false;
}).map((cell) => cell.textContent)"""
"""The texts of which a word is broken over lines."""

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


class Tab:
    """The page in a browser of its own. ``complaints`` are what it logs, ``requested`` the URLs that it asks for."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.requested: set[str] = set()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requested.add(request.url))

    def open(self) -> None:
        self.page.goto(self.url)

    def expect(self, selector: str, text: str | re.Pattern[str]) -> None:
        sync_api.expect(self.page.locator(selector)).to_contain_text(text)


InBrowser = Callable[..., Any]


class Browser:
    """One Chromium. Its Playwright can be used in the thread alone in which it was started. Each run has a profile of
    its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._playwright, self._chromium = self._thread.submit(self._launch).result()

    def _launch(self) -> tuple[Any, Any]:
        playwright = sync_api.sync_playwright().start()
        return playwright, playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])

    def run(self, steps: Callable[[Tab], T], url: str, context: Mapping[str, Any] = {}) -> T:
        return self._thread.submit(self._run, steps, url, context).result()

    def _run(self, steps: Callable[[Tab], T], url: str, context: Mapping[str, Any]) -> T:
        profile = self._chromium.new_context(**context)
        try:
            return steps(Tab(profile.new_page(), url))
        finally:
            profile.close()

    def close(self) -> None:
        self._thread.submit(self._chromium.close).result()
        self._thread.submit(self._playwright.stop).result()
        self._thread.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest_twisted.async_yield_fixture
async def in_browser(browser: Browser, store: BlockableStore, stub_daemon: StubDaemon) -> AsyncIterator[InBrowser]:
    """Runs a function of a :class:`Tab` in a thread, while the site answers on the reactor."""
    from twisted.internet import reactor

    site = site_of(store, cast(IReactorTime, reactor), stub_daemon, admin_token=Secret(TOKEN))
    served = await serve(site)
    url = f"http://127.0.0.1:{served.port.getHost().port}/"

    def run(steps: Callable[[Tab], T], **context: Any) -> Any:
        return deferToThread(browser.run, steps, url, context)

    yield run
    site.abort_connections()
    await served.stop()


@pytest_twisted.ensureDeferred
async def test_the_page_follows_the_events_without_a_complaint_and_loads_nothing_from_elsewhere(
    in_browser: InBrowser,
) -> None:
    def steps(tab: Tab) -> None:
        tab.open()
        tab.expect("#line", "Live")
        tab.expect("h1", "Healthy")
        assert tab.complaints == []
        assert {url for url in tab.requested if not url.startswith(tab.url)} == set()

    await in_browser(steps)


@pytest_twisted.ensureDeferred
async def test_a_new_gist_and_the_scans_progress_show_without_reload(
    in_browser: InBrowser, stub_daemon: StubDaemon
) -> None:
    def steps(tab: Tab) -> None:
        tab.open()
        tab.expect("#line", "Live")
        tab.page.evaluate("window.sameDocument = true")
        new = ShownGist(id="new0gist", user="octocat", created_at=NOW)
        stub_daemon.status = replace(
            QUIET, latest=[new, *QUIET.latest], scan=Scan(under_way=True, started_at=NOW, users=9, visited=3)
        )
        tab.expect("#latest li >> nth=0", re.compile("new0gist.*octocat.*waits", re.DOTALL))
        tab.expect("#figures", "3 of 9")
        assert tab.page.locator("#figures progress").evaluate("bar => bar.value") == 3
        full = replace(PROBLEMS[0], text="the disk is full", remedy="Make room")
        stub_daemon.status = with_problems(stub_daemon.status, [full])
        tab.expect("h1", "Problem")
        tab.expect("#told", re.compile("Problem. The disk is full, for .*Make room."))  # as a screen reader is told
        assert (tab.page.locator("#told").bounding_box() or {})["width"] == 1  # and nobody else
        assert tab.page.title().startswith("Problem · ")
        assert tab.page.evaluate("window.sameDocument")

    await in_browser(steps)


def test_the_demonstration_shows_gists_become_deals_and_one_can_break_it(browser: Browser, tmp_path: Path) -> None:
    newest, today = (
        "document.querySelector('#latest a').textContent",
        "document.querySelector('#figures dd').textContent",
    )

    def steps(tab: Tab) -> None:
        tab.open()
        tab.expect("#line", "Live")
        tab.expect("#figures", "every gist has its deal")
        tab.page.evaluate("window.sameDocument = true")
        before, made = tab.page.evaluate(newest), tab.page.evaluate(today)
        tab.page.wait_for_function(f"before => {newest} !== before", arg=before)
        tab.page.wait_for_function(f"before => {today} !== before", arg=made)
        tab.expect("h1", "Healthy")
        assert tab.page.evaluate("window.sameDocument")
        assert tab.complaints == []

    with daemon(tmp_path, "--sandbox", LISTEN="tcp:0:interface=127.0.0.1") as process:
        port = process.line("WebSite starting on ([0-9]+)")[1]
        playground = process.line(r"at (http://localhost:[0-9]+/) you can break")[1]
        browser.run(steps, f"http://127.0.0.1:{port}/")
        browser.run(_lose_an_answer, playground)


def _lose_an_answer(tab: Tab) -> None:
    """In the demonstration's playground, by keyboard."""
    tab.open()
    SHOTS.mkdir(parents=True, exist_ok=True)
    for size, viewport in SIZES.items():
        tab.page.set_viewport_size(viewport)
        tab.page.screenshot(path=SHOTS / f"playground-{size}.png", full_page=True)
        assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    tab.page.get_by_role("button", name="Stop GitHub").press("Enter")
    tab.expect("#github", "GitHub is stopped")
    assert _violations(tab) == []
    tab.page.keyboard.press("Tab")  # on from where the keyboard was
    assert tab.page.evaluate("document.activeElement.textContent") == "Start GitHub"
    tab.page.keyboard.press("Enter")
    tab.expect("#github", "GitHub is running")
    tab.page.get_by_role("button", name="Lose the next answer").press("Enter")
    tab.page.wait_for_url("**/#answer")
    tab.page.get_by_role("button", name="Stop GitHub").focus()  # the part that has the keyboard is left alone
    tab.page.locator("#answer", has_text="1 answer lost so far").wait_for()
    tab.page.locator("#verdict", has_text="Each of").wait_for()
    assert tab.page.evaluate("document.activeElement.textContent") == "Stop GitHub"
    tab.page.locator("#deals a").first.click()
    tab.expect("main", "Gist id")
    tab.page.locator("dd a[href*='/gist/']").click()
    tab.expect("#files", "Files")
    assert _violations(tab) == []
    assert tab.complaints == []


def _violations(tab: Tab) -> list[tuple[str, list[str]]]:
    """What axe finds, and in which elements."""
    found = tab.page.evaluate(AXE.read_text(encoding="utf-8") + "; axe.run()")["violations"]
    return [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in found]


@pytest_twisted.ensureDeferred
async def test_a_page_that_is_left_open_tells_which_version_was_started_since(
    in_browser: InBrowser, stub_daemon: StubDaemon
) -> None:
    def steps(tab: Tab) -> None:
        tab.open()
        tab.expect("footer", "pipetest 2.0.0")
        stub_daemon.status = replace(QUIET, instance=LATER)
        tab.expect("footer", "pipetest 2.0.1")
        assert tab.complaints == []

    await in_browser(steps)


@pytest_twisted.ensureDeferred
async def test_without_events_the_page_polls(in_browser: InBrowser, stub_daemon: StubDaemon) -> None:
    def steps(tab: Tab) -> None:
        tab.page.clock.install()
        tab.page.route("**/events", lambda route: route.fulfill(status=503))
        tab.open()
        tab.expect("#line", "Asked every 5 seconds")
        stub_daemon.status = replace(WITH_PROBLEMS, instance=LATER)
        tab.page.clock.fast_forward(5_000)
        tab.expect("h1", "Problem")
        tab.expect("footer", "pipetest 2.0.1")

    await in_browser(steps)


@contextmanager
def _gone(served: Served, site: WebSite) -> Iterator[None]:
    """For so long nothing answers; called in a thread."""
    from twisted.internet import reactor

    main = cast(IReactorFromThreads, reactor)

    def stop() -> "Deferred[None]":
        site.abort_connections()
        return Deferred.fromCoroutine(served.stop())

    served.port.port = served.port.getHost().port
    blockingCallFromThread(main, stop)  # type: ignore[arg-type]
    yield
    blockingCallFromThread(main, served.port.startListening)


@pytest_twisted.ensureDeferred
async def test_a_page_that_hears_nothing_more_turns_grey_and_says_since_when_and_what_to_do(
    browser: Browser, store: BlockableStore, stub_daemon: StubDaemon
) -> None:
    from twisted.internet import reactor

    site = site_of(store, cast(IReactorTime, reactor), stub_daemon)
    served = await serve(site)
    colour = "getComputedStyle(document.querySelector('#figures')).filter"

    def steps(tab: Tab) -> None:
        tab.page.clock.install()
        tab.open()
        tab.expect("#line", "Live")
        with _gone(served, site):
            tab.expect("#line", "Reconnecting")
            tab.expect("h1", "Healthy")  # it may be a restart
            tab.page.clock.run_for(12_000)
            tab.expect("h1", "No contact")
            tab.expect("#health", re.compile("No answer .*for a moment.*process runs", re.DOTALL))
            assert tab.page.title().startswith("No contact · ")
            assert tab.page.evaluate(colour) == "grayscale(1)"
        sync_api.expect(tab.page.locator("h1")).to_contain_text("Healthy", timeout=30_000)
        tab.expect("#line", "Live")
        assert tab.page.evaluate(colour) == "none"

    await deferToThread(browser.run, steps, f"http://127.0.0.1:{served.port.getHost().port}/")
    site.abort_connections()
    await served.stop()


@pytest_twisted.ensureDeferred
async def test_without_script_the_page_is_a_snapshot(in_browser: InBrowser, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = WITH_PROBLEMS

    def steps(tab: Tab) -> None:
        tab.open()
        tab.expect("h1", "Problem")
        tab.expect("#line", "A snapshot")
        tab.expect("#latest", "24 Nov 2026, 05:59 UTC")
        sync_api.expect(tab.page.locator("#admin")).to_be_hidden()

    await in_browser(steps, java_script_enabled=False)


def _sign_in(tab: Tab, token: str = TOKEN) -> None:
    """By keyboard."""
    tab.page.get_by_text("Sign in").first.press("Enter")
    tab.page.get_by_label("Admin token").fill(token)
    tab.page.keyboard.press("Enter")


def _press(tab: Tab, name: str, said: str) -> None:
    tab.page.get_by_role("button", name=name, exact=True).click()
    tab.expect("#answer", said)


@pytest_twisted.ensureDeferred
async def test_whoever_is_signed_in_can_use_every_control_in_this_tab_until_signed_out(
    in_browser: InBrowser, stub_daemon: StubDaemon
) -> None:
    stub_daemon.status = WITH_PROBLEMS

    def steps(tab: Tab) -> None:
        tab.open()
        tab.expect("#line", "Live")
        sync_api.expect(tab.page.locator("[data-post] >> visible=true")).to_have_count(0)
        _sign_in(tab)
        tab.expect("#answer", "Signed in for this tab.")
        assert tab.page.evaluate("[sessionStorage.length, localStorage.length]") == [1, 0]
        tab.page.reload()
        _press(tab, "Scan now", "A scan begins.")
        _press(tab, "Pause creation", "Creation is paused.")
        stub_daemon.status = replace(WITH_PROBLEMS, creation=Creation(paused=True), audit=AuditState())
        _press(tab, "Resume creation", "Deals are created again.")  # the same button, which shows how it is
        _press(tab, "Audit now", "An audit begins.")
        _press(tab, "Retry all", "All are tried again")
        _press(tab, f"Retry gist {GIST}", "It is tried again now.")
        _press(tab, "Make deals of the older gists of antomer", "They become deals.")
        tab.page.get_by_role("button", name="Sign out").click()
        sync_api.expect(tab.page.locator("[data-post] >> visible=true")).to_have_count(0)
        tab.page.reload()
        sync_api.expect(tab.page.get_by_text("Sign in").first).to_be_visible()
        assert tab.page.evaluate("sessionStorage.length") == 0

    await in_browser(steps)
    assert stub_daemon.calls == [
        ("scan", None), ("pause", True), ("pause", False), ("audit", None), ("retry_all", None), ("retry", GIST),
        ("backfill", "antomer"),
    ]  # fmt: skip


@pytest_twisted.ensureDeferred
async def test_a_wrong_token_is_told_at_once_and_opens_nothing(in_browser: InBrowser, stub_daemon: StubDaemon) -> None:
    def steps(tab: Tab) -> None:
        tab.open()
        _sign_in(tab, "wrong")
        tab.expect("#refused", "This is not the admin token.")
        assert tab.page.evaluate("[document.activeElement.name, sessionStorage.length]") == ["token", 0]
        sync_api.expect(tab.page.get_by_role("button", name="Scan now")).to_be_hidden()

    await in_browser(steps)
    assert stub_daemon.calls == []


@pytest_twisted.ensureDeferred
async def test_the_keyboard_reaches_the_content_first_and_keeps_its_place(
    in_browser: InBrowser, stub_daemon: StubDaemon
) -> None:
    stub_daemon.status = WITH_PROBLEMS

    def steps(tab: Tab) -> None:
        tab.open()
        tab.page.keyboard.press("Tab")
        assert tab.page.evaluate("document.activeElement.textContent") == "Skip to content"
        _sign_in(tab)
        tab.expect("#answer", "Signed in for this tab.")
        tab.page.locator(f"#retry-{GIST}").focus()
        stub_daemon.status = replace(
            WITH_PROBLEMS, quarantine=[replace(WITH_PROBLEMS.quarantine[0], reason="422: another")]
        )
        tab.expect("#quarantine", "422: another")
        assert tab.page.evaluate("document.activeElement.id") == f"retry-{GIST}"

    await in_browser(steps)


@pytest.mark.parametrize(
    "selector",
    [f"#quarantine a[href$='{GIST}']", "#latest li >> nth=4 >> a >> nth=1", "#days summary"],
    ids=["gist", "deal", "figures"],
)
@pytest_twisted.ensureDeferred
async def test_a_region_that_is_replaced_keeps_the_keyboards_place(
    in_browser: InBrowser, stub_daemon: StubDaemon, selector: str
) -> None:
    stub_daemon.status = WITH_PROBLEMS
    new = ShownGist(id="new0gist", user="octocat", created_at=NOW)

    def steps(tab: Tab) -> None:
        tab.open()
        tab.expect("#line", "Live")
        tab.page.locator(selector).focus()
        before = tab.page.evaluate("document.activeElement.outerHTML")
        stub_daemon.status = replace(
            WITH_PROBLEMS,
            quarantine=[replace(WITH_PROBLEMS.quarantine[0], reason="422: another")],
            latest=[new, *WITH_PROBLEMS.latest],
            days=[*WITH_PROBLEMS.days[:-1], replace(WITH_PROBLEMS.days[-1], gists=98)],
        )
        tab.expect("#quarantine", "422: another")
        tab.expect("#latest", "new0gist")
        tab.expect("#days", "98")
        assert tab.page.evaluate("document.activeElement.outerHTML") == before

    await in_browser(steps)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest_twisted.ensureDeferred
async def test_everybody_can_read_it(in_browser: InBrowser, stub_daemon: StubDaemon, size: str, scheme: str) -> None:
    def steps(tab: Tab) -> None:
        tab.page.clock.set_fixed_time(NOW)
        tab.open()
        _sign_in(tab)
        tab.expect("#answer", "Signed in")
        SHOTS.mkdir(parents=True, exist_ok=True)
        for word, stub_daemon.status in STATES.items():
            tab.expect("h1", word)
            tab.expect("#figures", f"{stub_daemon.status.ledger.done:,} in all")
            tab.page.screenshot(path=SHOTS / f"{word.lower()}-{size}-{scheme}.png", full_page=True)
            assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert tab.page.evaluate(BROKEN) == []
            assert tab.page.evaluate(OUTGROWN) == 0
            assert _violations(tab) == []

    await in_browser(steps, viewport=SIZES[size], color_scheme=scheme)


@pytest.mark.parametrize("viewport", [SIZES["desktop"], SMALLEST], ids=["desktop", "smallest"])
@pytest_twisted.ensureDeferred
async def test_the_longest_name_neither_widens_the_page_nor_hides_what_a_gist_is_about(
    in_browser: InBrowser, stub_daemon: StubDaemon, viewport: Mapping[str, int]
) -> None:
    name = "W" * 39
    stub_daemon.status = replace(
        with_problems(WITH_PROBLEMS, [replace(PROBLEMS[1], text=f"1 of 9 users cannot be read: {name}")]),
        users=[replace(WITH_PROBLEMS.users[0], name=name), *WITH_PROBLEMS.users[1:]],
        oldest=Waiting(id=GIST, user=name, since_at=NOW),
        next_deal=NextDeal(gist=GIST, user=name, title="Notes"),
        latest=[replace(gist, user=name) for gist in WITH_PROBLEMS.latest],
        quarantine=[replace(WITH_PROBLEMS.quarantine[0], user=name)],
    )

    def steps(tab: Tab) -> None:
        tab.open()
        tab.page.screenshot(path=SHOTS / f"longest-name-{viewport['width']}.png", full_page=True)
        assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        titles = tab.page.locator("#latest .what").evaluate_all("all => all.map((title) => title.clientWidth)")
        assert min(titles) >= 150

    await in_browser(steps, viewport=viewport)


@pytest_twisted.ensureDeferred
async def test_the_smallest_phone_breaks_an_id_in_its_middle_or_not_at_all(
    in_browser: InBrowser, stub_daemon: StubDaemon
) -> None:
    gist = "00f6a1c09be24d7788aa0000000000ab"
    fields = {"Gist id": gist, "Gist": f"https://gist.github.com/{gist}"}
    deal = NextDeal(gist=gist, user="antomer", title=f"Notes on bird songs · {gist}", fields=fields)
    stub_daemon.status = replace(WITH_PROBLEMS, next_deal=deal)

    def steps(tab: Tab) -> None:
        tab.open()
        tab.page.screenshot(path=SHOTS / "problem-smallest.png", full_page=True)
        assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert tab.page.evaluate(BROKEN) == []
        assert f"https://gist.github.com/{gist}" in tab.page.locator("#next_deal").text_content()

    await in_browser(steps, viewport=SMALLEST)
