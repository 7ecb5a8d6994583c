"""Whether what a body names is there: an owner, a stage, a label, a custom field. A 400 says what is not."""

from msgspec import UNSET

from pipetest.sandbox.pipedrive.bodies import DealChanges, OrganizationChanges
from pipetest.sandbox.pipedrive.company import Company
from pipetest.sandbox.pipedrive.crm import Crm
from pipetest.sandbox.pipedrive.fields import CrmFields
from pipetest.sandbox.pipedrive.requests import Invalid


def check_organization(body: OrganizationChanges, crm: Crm) -> None:
    """
    :raises Invalid: something that it names is not there.
    """
    _check_owner_and_fields(body, crm.company, crm.company.organization_fields)


def check_deal(body: DealChanges, crm: Crm) -> None:
    """
    :raises Invalid: something that it names is not there.
    """
    _check_owner_and_fields(body, crm.company, crm.company.deal_fields)
    _check_stage(body, crm.company)
    if isinstance(body.org_id, int):
        organization = crm.organizations.get(body.org_id)
        if organization is None or organization.deleted_at is not None:
            raise Invalid(f"org_id: Organization with id {body.org_id} was not found")


def _check_owner_and_fields(body: OrganizationChanges | DealChanges, company: Company, fields: CrmFields) -> None:
    if body.owner_id is not UNSET and not company.is_active(body.owner_id):
        raise Invalid(f"owner_id: User with id {body.owner_id} was not found")
    if body.label_ids is not UNSET:
        refusal = fields.labels.refusal(body.label_ids)
        if refusal is not None:
            raise Invalid(f"label_ids: {refusal}")
    if body.custom_fields is not UNSET:
        for code, value in body.custom_fields.items():
            _check_custom_field(code, value, fields)


def _check_custom_field(code: str, value: object, fields: CrmFields) -> None:
    field = fields.custom.get(code)
    if field is None:
        raise Invalid(f"custom_fields: Unknown key '{code}'")
    refusal = field.refusal(value)
    if refusal is not None:
        raise Invalid(f"custom_fields: {code}: {refusal}")


def _check_stage(body: DealChanges, company: Company) -> None:
    pipeline_id = None if body.pipeline_id is UNSET else body.pipeline_id
    stage_id = None if body.stage_id is UNSET else body.stage_id
    if company.stage_for(pipeline_id, stage_id) is None:
        raise Invalid(f"pipeline_id, stage_id: there is no stage {stage_id} in a pipeline {pipeline_id}")
