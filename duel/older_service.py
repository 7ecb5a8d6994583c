"""The way of the service that pipetest succeeds: one request at a time; create, then record; a TinyDB file.

Better than it was, so that it can work with today's API at all: v2 instead of v1, the organization's number instead of
its name, and a refused create is not recorded.
"""

import os
import time
from pathlib import Path
from typing import Any

import requests
from tinydb import Query, TinyDB

PIPEDRIVE = os.environ["PIPEDRIVE_URL"]
USERS = TinyDB(Path(os.environ["STATE"]) / "db.json").table("users")


def create(kind: str, **fields: str | int) -> int:
    key = {"x-api-token": os.environ["PIPEDRIVE_KEY"]}
    response = requests.post(f"{PIPEDRIVE}/api/v2/{kind}", json=fields, headers=key, timeout=30)
    response.raise_for_status()
    return int(response.json()["data"]["id"])


def record(user: dict[str, Any]) -> None:
    USERS.upsert(user, Query().username == user["username"])


def scan(username: str) -> None:
    gists = requests.get(f"{os.environ['GITHUB_URL']}/users/{username}/gists", timeout=30)
    gists.raise_for_status()
    known = USERS.search(Query().username == username)
    user: dict[str, Any] = dict(known[0]) if known else {"username": username, "gists": []}
    if not known:
        user["organization"] = create("organizations", name=username)
        record(user)
    for gist in gists.json():
        if gist["id"] not in user["gists"]:
            create("deals", title=gist["id"], org_id=user["organization"])
            user["gists"].append(gist["id"])
            record(user)


while True:
    for username in os.environ["USERS"].split(","):
        try:
            scan(username)
        except requests.RequestException as e:
            print(e, flush=True)
    time.sleep(float(os.environ["INTERVAL"]))
