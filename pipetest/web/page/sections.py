"""The regions of the page, each made from the status alone, so that the one that changed can be shown anew."""

from collections.abc import Callable, Mapping, Sequence

from twisted.web.template import Tag

from pipetest.domain.status import Day, Outlook, QueriedUser, Quota, ShownGist, Status
from pipetest.web.page.charts import chart, gauge
from pipetest.web.page.html import Content, count, h, link, section, when

MOST_ROWS = 50  # of a kind on the page; /status has more
MOST_LATEST = 10  # so many stand well beside a few users


def health(status: Status) -> Tag:
    """One word, and why not."""
    word, kind = ("Trouble", "ill") if status.troubles else ("Well", "well")
    ledger = status.ledger
    said = f"{count(ledger.total, 'gist')} of {count(status.user_counts.total, 'user')}, {count(ledger.done, 'deal')}"
    troubles = h("ul", *(h("li", trouble) for trouble in status.troubles)) if status.troubles else None
    dry = h("p", "Dry run: nothing is created.", class_="note") if status.instance.dry_run else None
    why = h("div", troubles, h("p", _scanner(status) or f"{said} in Pipedrive."), dry)
    return h("section", h("h1", word), why, id="health", class_=kind, aria_label="Health")


def _scanner(status: Status) -> str | None:
    """Who works, where it is another instance: that one knows more."""
    if status.leader is None or status.leader.here:
        return None
    return f"This instance answers visitors; {status.leader.name or 'another one'} scans and creates."


def scan(status: Status) -> Tag:
    now = status.scan
    if (elsewhere := _scanner(status)) is not None:
        return section("scan", "Scan", h("p", "Elsewhere", class_="figure"), h("p", elsewhere))
    if now.started_at is None:
        return section("scan", "Scan", h("p", "Not begun", class_="figure"), h("p", "The first one comes at once."))
    figure = f"{now.visited:,} of {count(now.users, 'user')}"
    began = h("p", "Began ", when(now.started_at)) if now.under_way else None
    ended = h("p", "Ended ", when(now.ended_at)) if now.ended_at and not now.under_way else None
    coming = h("p", "Next ", when(now.next_at)) if now.next_at and not now.under_way else None
    bar = h(
        "progress",
        value=now.visited,
        max=max(1, now.users),
        aria_label="Users visited",
        class_="under-way" if now.under_way else None,
    )
    return section(
        "scan", "Scanning" if now.under_way else "Scan", h("p", figure, class_="figure"), bar, began, ended, coming
    )


def deals(status: Status) -> Tag:
    ledger, creation = status.ledger, status.creation
    waiting = count(ledger.waiting, "deal waits", "deals wait")
    figure = waiting if ledger.waiting else "All done" if ledger.total else "None yet"
    bar = h("progress", value=ledger.done, max=max(1, ledger.total), aria_label="Gists that are deals")
    if creation.refusal is not None:
        note: Content = h("p", f"Pipedrive refuses: {creation.refusal}", class_="note")
    elif creation.paused:
        note = h("p", "Creation is paused.", class_="note")
    else:
        note = _outlook(status.outlook) if status.outlook and ledger.waiting else None
    oldest = h("p", "The oldest came ", when(status.oldest.since_at)) if status.oldest and ledger.waiting else None
    share = h("p", f"{ledger.done:,} of {count(ledger.total, 'gist')} done")
    return section("deals", "Deals", h("p", figure, class_="figure"), bar, share, note, oldest)


def _outlook(outlook: Outlook) -> Tag:
    return h("p", outlook.text) if outlook.done_at is None else h("p", "All done ", when(outlook.done_at))


def quotas(status: Status) -> Tag:
    gauges = [_quota(quota) for quota in status.quotas if (quota.left, quota.used) != (None, None)]
    return section("quotas", "Quotas", h("ul", *gauges) if gauges else h("p", "Nothing was asked yet."))


def _quota(quota: Quota) -> Tag:
    name = h("p", h("strong", quota.service), f" {quota.name}")
    whole = h("p", "Resets ", when(quota.reset_at)) if quota.reset_at else None
    if quota.limit is None or quota.left is None:
        figure = f"{quota.used or 0:,.0f}" if quota.left is None else f"{quota.left:,.0f}"
        what = "used" if quota.left is None else "left"
        return h("li", gauge(None, figure), h("div", name, h("p", f"{figure} {what}, no limit known"), whole))
    share = min(1.0, max(0.0, quota.left / quota.limit)) if quota.limit else 0.0
    left = h("p", f"{quota.left:,.0f} of {quota.limit:,.0f} left")
    return h("li", gauge(share, f"{share:.0%}"), h("div", name, left, whole if share < 1 else None))


def days(status: Status) -> Tag:
    if not status.days:
        return section("days", "By day", h("p", "Nothing yet."))
    legend = h("p", h("span", "gists", class_="gists"), " ", h("span", "deals", class_="deals"), class_="legend")
    rows = [_day(day) for day in reversed(status.days)]
    figures = h("details", h("summary", "In figures"), table(("Day", "Gists", "Deals"), rows))
    return section("days", "By day", legend, chart(status.days), figures)


def _day(day: Day) -> Sequence[Content]:
    return day.day, f"{day.gists:,}", f"{day.deals:,}"


def quarantine(status: Status) -> Tag:
    """Not there while nobody is in it."""
    items = [
        h(
            "li",
            h("p", _gist(gist.id, status), f" of {gist.user}, ", when(gist.since_at)),
            h("p", gist.reason, class_="error"),
            _retry(gist.id),
        )
        for gist in status.quarantine[:MOST_ROWS]
    ]
    more = _more(len(status.quarantine) - len(items), "more gist")
    return section("quarantine", "Quarantine", h("ul", *items), more, hidden=not items)


def _more(rest: int, what: str) -> Content:
    return h("p", f"{count(rest, what)} in ", h("a", "/status", href="status"), ".") if rest else None


def _gist(gist: str, status: Status) -> Tag:
    return link(status.instance.gists_url + gist, gist if len(gist) <= 8 else f"{gist[:7]}…")


def _retry(gist: str) -> Tag:
    """Shown by the script, once there is a token."""
    path = f"quarantine/{gist}/retry"
    return h("button", "Retry", type="button", id=f"retry-{gist}", data_post=path, aria_label=f"Retry gist {gist}")


def users(status: Status) -> Tag:
    shown = status.users[:MOST_ROWS]
    more = _more(status.user_counts.total - len(shown), "more user")
    rows = [_user(user) for user in shown]
    return section("users", "Users", table(("User", "Gists", "Deals", "Last success"), rows), more)


def _user(user: QueriedUser) -> Sequence[Content]:
    succeeded = "not yet" if user.succeeded_at is None else when(user.succeeded_at)
    name = user.name if user.error is None else h("div", user.name, h("p", user.error, class_="error"))
    return name, f"{user.gists:,}", f"{user.deals:,}", succeeded


def latest(status: Status) -> Tag:
    deals_url, shown = status.instance.deals_url, status.latest[:MOST_LATEST]
    rows = [(_gist(gist.id, status), gist.user, when(gist.created_at), _deal(gist, deals_url)) for gist in shown]
    content = table(("Gist", "User", "Written", "Deal"), rows) if rows else h("p", "None yet.")
    return section("latest", "Latest gists", content)


def _deal(gist: ShownGist, deals_url: str) -> Content:
    if gist.deal is not None:
        return link(f"{deals_url}{gist.deal}", f"{gist.deal}")
    said = {"wanted": "waits", "sent": "on its way", "done": "done", "quarantined": "refused"}[gist.state]
    return h("span", said, class_=gist.state)


def table(heads: Sequence[str], rows: Sequence[Sequence[Content]]) -> Tag:
    """The first cell of each row names it."""
    body = [h("tr", h("th", row[0], scope="row"), *(h("td", cell) for cell in row[1:])) for row in rows]
    head = h("thead", h("tr", *(h("th", head, scope="col") for head in heads)))
    return h("table", head, h("tbody", *body))


REGIONS: Mapping[str, Callable[[Status], Tag]] = {
    region.__name__: region for region in (health, quarantine, scan, deals, days, quotas, users, latest)
}
"""By the id that their element has on the page, in their order there."""
