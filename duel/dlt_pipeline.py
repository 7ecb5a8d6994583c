"""dlt: its REST source reads GitHub, a custom destination makes the deals. A cron job runs it again and again.

As its documentation advises: gists are loaded incrementally, requests are made with dlt's own client, which tries them
again, and the destination takes one item at a time, as Pipedrive knows no transactions.
"""

import os
from threading import Lock
from typing import Any

import dlt
from dlt.sources.helpers import requests
from dlt.sources.rest_api import rest_api_source

PIPEDRIVE = os.environ["PIPEDRIVE_URL"]
KEY = {"x-api-token": os.environ["PIPEDRIVE_KEY"]}

organizations: dict[str, int] = {}
looking = Lock()


def gists_of(user: str) -> Any:
    return {
        "name": f"gists_of_{user}",
        "table_name": "gists",
        "endpoint": {
            "path": f"users/{user}/gists",
            "params": {"per_page": 100},
            "paginator": "header_link",
            "incremental": {
                "cursor_path": "created_at",
                "initial_value": "1970-01-01T00:00:00Z",
                "start_param": "since",
            },
        },
    }


def create(kind: str, **fields: object) -> int:
    return int(requests.post(f"{PIPEDRIVE}/api/v2/{kind}", json=fields, headers=KEY).json()["data"]["id"])


def organization_of(user: str) -> int:
    """The one of that name; a new one where there is none."""
    with looking:
        if not organizations:
            cursor: str | None = ""
            while cursor is not None:
                query = {"limit": "500"} | ({"cursor": cursor} if cursor else {})
                page = requests.get(f"{PIPEDRIVE}/api/v2/organizations", params=query, headers=KEY).json()
                organizations.update({row["name"]: row["id"] for row in page["data"]})
                cursor = page["additional_data"]["next_cursor"]
        if user not in organizations:
            organizations[user] = create("organizations", name=user)
        return organizations[user]


@dlt.destination(batch_size=1, name="pipedrive")  # type: ignore[untyped-decorator]  # dlt is not installed here
def pipedrive(gists: list[dict[str, Any]], table: object) -> None:
    for gist in gists:
        create("deals", title=gist["id"], org_id=organization_of(gist["owner"]["login"]))


if __name__ == "__main__":
    source = rest_api_source(
        {
            "client": {"base_url": os.environ["GITHUB_URL"]},
            "resource_defaults": {"primary_key": "id", "write_disposition": "append"},
            "resources": [gists_of(user) for user in os.environ["USERS"].split(",")],
        }
    )
    pipeline = dlt.pipeline("gists_to_deals", destination=pipedrive, pipelines_dir=os.environ["STATE"])
    print(pipeline.run(source))
