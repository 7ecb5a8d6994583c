"""An outbox as most people write it: what is to be created is recorded first, sent until an answer says that it was
created, and then marked. A failed send is tried again, later each time."""

import os
import sqlite3
import time
from pathlib import Path

import requests

PIPEDRIVE = os.environ["PIPEDRIVE_URL"]
LONGEST_WAIT_S = 60.0

TABLES = """
CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, organization INTEGER);
CREATE TABLE IF NOT EXISTS outbox (
    gist TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    deal INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0
);
"""

database = sqlite3.connect(Path(os.environ["STATE"]) / "outbox.db", isolation_level=None)
database.executescript(TABLES)
session = requests.Session()


def scan(user: str) -> None:
    """Record all gists that are new, page by page."""
    database.execute("INSERT OR IGNORE INTO users (name) VALUES (?)", (user,))
    url: str | None = f"{os.environ['GITHUB_URL']}/users/{user}/gists?per_page=100"
    while url is not None:
        page = session.get(url, timeout=30)
        page.raise_for_status()
        rows = [(gist["id"], user) for gist in page.json()]
        database.execute("BEGIN")
        database.executemany("INSERT OR IGNORE INTO outbox (gist, user) VALUES (?, ?)", rows)
        database.execute("COMMIT")
        url = page.links.get("next", {}).get("url")


def create(kind: str, **fields: str | int) -> int:
    key = {"x-api-token": os.environ["PIPEDRIVE_KEY"]}
    response = session.post(f"{PIPEDRIVE}/api/v2/{kind}", json=fields, headers=key, timeout=30)
    response.raise_for_status()
    return int(response.json()["data"]["id"])


def organization_of(user: str) -> int:
    (known,) = database.execute("SELECT organization FROM users WHERE name = ?", (user,)).fetchone()
    if known is None:
        known = create("organizations", name=user)
        database.execute("UPDATE users SET organization = ? WHERE name = ?", (known, user))
    return int(known)


def relay() -> None:
    """Send what is due."""
    due = "SELECT gist, user, attempts FROM outbox WHERE deal IS NULL AND due <= ? ORDER BY rowid"
    for gist, user, attempts in database.execute(due, (time.time(),)).fetchall():
        try:
            deal = create("deals", title=gist, org_id=organization_of(user))
            database.execute("UPDATE outbox SET deal = ? WHERE gist = ?", (deal, gist))
        except requests.RequestException as e:
            print(e, flush=True)
            next_at = time.time() + min(LONGEST_WAIT_S, 2.0**attempts)
            database.execute("UPDATE outbox SET attempts = attempts + 1, due = ? WHERE gist = ?", (next_at, gist))


while True:
    for user in os.environ["USERS"].split(","):
        try:
            scan(user)
        except requests.RequestException as e:
            print(e, flush=True)
    relay()
    time.sleep(float(os.environ["INTERVAL"]))
