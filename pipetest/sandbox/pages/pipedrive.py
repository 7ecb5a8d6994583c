"""Pipedrive as people see it: a deal, with all that it holds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource

from pipetest.sandbox.pages.html import missing, page, static_file
from pipetest.sandbox.pipedrive.company import Company
from pipetest.sandbox.pipedrive.crm import Crm, Record
from pipetest.sandbox.pipedrive.fields import CrmFields


class PipedrivePages:
    """In front of the ``api``, at the addresses that Pipedrive has them at."""

    app = Klein()

    def __init__(self, crm: Crm, api: IResource) -> None:
        self._crm = crm
        self._api = api

    @app.route("/deal/<int:deal_id>", methods=["GET"])
    def deal(self, request: IRequest, deal_id: int) -> bytes:
        deal = self._crm.deals.get(deal_id)
        if deal is None:
            return missing(request, "deal")
        organization = self._crm.organizations.get(deal.fields["org_id"])
        return page(request, "deal.html", **_deal(deal, organization, self._crm.company))

    @app.route("/static/<name>", methods=["GET"])
    def static(self, request: IRequest, name: str) -> bytes:
        return static_file(request, name)

    @app.route("/", branch=True)
    def api(self, request: IRequest) -> IResource:
        return self._api


def state_of(deal: Record) -> str:
    """In a word."""
    return "archived" if deal.fields["is_archived"] else str(deal.fields["status"])


def _deal(deal: Record, organization: Record | None, company: Company) -> Mapping[str, Any]:
    """By what the template calls it."""
    fields = deal.fields
    stages = [stage for stage in company.stages.values() if stage.pipeline_id == fields["pipeline_id"]]
    return {
        "title": fields["title"],
        "state": state_of(deal),
        "pipeline": company.pipelines[fields["pipeline_id"]].name,
        "stages": [stage.name for stage in stages if not stage.is_deleted],
        "stage": company.stages[fields["stage_id"]].name,
        "owner": company.users[fields["owner_id"]].name,
        "added": fields["add_time"],
        "labels": list(_labels(fields["label_ids"], company.deal_fields)),
        "filled": list(_filled(deal, company.deal_fields)),
        "organization": organization and organization.fields["name"],
        "filled_of_organization": organization and list(_filled(organization, company.organization_fields)),
    }


def _labels(chosen: Sequence[int], fields: CrmFields) -> Iterator[str]:
    return (option.label for option in fields.labels.options or () if option.id in chosen)


def _filled(record: Record, fields: CrmFields) -> Iterator[tuple[str, Any]]:
    """The custom fields that hold something, by name."""
    for code, field in fields.custom.items():
        value = record.fields["custom_fields"].get(code)
        if value is not None:
            yield field.name, value
