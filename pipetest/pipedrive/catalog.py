"""Reads what there is in Pipedrive that a template may name, for as few tokens as its names take."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipetest.domain.model import PAGE_ROWS
from pipetest.domain.template import Template
from pipetest.pipedrive.lists import OpenList
from pipetest.pipedrive.names import Catalog, CatalogRow, FieldRow
from pipetest.pipedrive.prices import page_price

LISTS: Mapping[str, tuple[str, type[CatalogRow] | type[FieldRow], Mapping[str, object]]] = {
    "pipelines": ("/api/v2/pipelines", CatalogRow, {"limit": PAGE_ROWS}),
    "stages": ("/api/v2/stages", CatalogRow, {"limit": PAGE_ROWS}),
    "users": ("/api/v1/users", CatalogRow, {}),  # in API v1 only, all of them at once
    "deal_fields": ("/api/v2/dealFields", FieldRow, {"limit": PAGE_ROWS}),
    "organization_fields": ("/api/v2/organizationFields", FieldRow, {"limit": PAGE_ROWS}),
}
"""The parts of a catalog: where each is, and how it is asked for."""

MOST_TOKENS = 60
"""One page of each list takes 50. With the rest a list may be longer; what is on no page that was read is not there."""


async def read_catalog(template: Template, open_list: OpenList) -> Catalog:
    """Only the lists that the template names something of.

    :raises ServiceError: one of them cannot be read.
    """
    lists = {part: LISTS[part] for part in _needed(template)}
    spare = MOST_TOKENS - sum(page_price(path) for path, _, _ in lists.values())
    found: dict[str, Sequence[Any]] = {}
    for part, (path, row, query) in lists.items():
        pages, rows = open_list(path, row, query), list[Any]()
        while (page := await pages.next()) is not None:
            rows += page.rows
            if not page.cursor or spare < page_price(path):
                break
            spare -= page_price(path)
        found[part] = rows
    return Catalog(**found)


def _needed(template: Template) -> Iterator[str]:
    if template.pipeline is not None:
        yield "pipelines"
    if template.stage is not None:
        yield "stages"
    if template.owner is not None or template.organization.owner is not None:
        yield "users"
    if template.labels or template.fields:
        yield "deal_fields"
    if template.organization.fields:
        yield "organization_fields"
