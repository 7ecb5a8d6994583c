"""Loads what drt reads into the warehouse, with dlt as drt's documentation suggests: GitHub's gists, and Pipedrive's
organizations, whose numbers a deal needs."""

import os
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
from dlt.sources.rest_api import rest_api_source


def gist(item: dict[str, Any]) -> dict[str, Any]:
    return {"id": item["id"], "user": item["owner"]["login"], "created_at": item["created_at"]}


def gists_of(user: str) -> Any:
    return {
        "name": f"gists_of_{user}",
        "table_name": "gists",
        "primary_key": "id",
        "write_disposition": "merge",
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
        "processing_steps": [{"map": gist}],
    }


@dlt.resource(  # type: ignore[untyped-decorator]  # dlt is not installed here
    primary_key="id",
    write_disposition="merge",
    columns={"id": {"data_type": "bigint"}, "name": {"data_type": "text"}},
)
def organizations() -> Iterator[Any]:
    yield dlt.mark.materialize_table_schema()  # a table even while there are none
    key = {"x-api-token": os.environ["PIPEDRIVE_KEY"]}
    pages = JSONResponseCursorPaginator("additional_data.next_cursor", "cursor")
    client = RESTClient(f"{os.environ['PIPEDRIVE_URL']}/api/v2", headers=key, paginator=pages, data_selector="data")
    for page in client.paginate("organizations", params={"limit": 500}):
        yield [{"id": item["id"], "name": item["name"]} for item in page]


github = rest_api_source(
    {
        "client": {"base_url": os.environ["GITHUB_URL"]},
        "resources": [gists_of(user) for user in os.environ["USERS"].split(",")],
    },
    name="github",
)
pipeline = dlt.pipeline("warehouse", destination="postgres", dataset_name="raw", pipelines_dir=os.environ["STATE"])
print(pipeline.run([github, organizations]))
