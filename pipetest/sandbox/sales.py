"""The invented company's sales people: what they have set up in their Pipedrive, and how a deal is to look there."""

from pipetest.sandbox.pipedrive.company import Company

ANNA = "anna@example.com"

TEMPLATE = f"""\
title    = "{{description}}"
pipeline = "Community"
stage    = "New"
owner    = "{ANNA}"
labels   = ["gist"]

[fields]
"Gist id" = "{{id}}"
"Gist"    = "{{url}}"
"About"   = "{{description}}\\n{{files}}"

[organization]
owner = "{ANNA}"
[organization.fields]
"GitHub" = "{{profile_url}}"
"""
"""For the daemon's setting ``PIPETEST_DEALS``. The field "Gist id" is the stamp by which a deal is recognised."""


def set_up(company: Company) -> None:
    """All that the template names."""
    company.add_user("Anna", ANNA)
    company.add_pipeline("Community", ["New", "Answered", "In talks"])
    company.deal_fields.add_label("gist")
    for name, field_type in (("Gist id", "varchar"), ("Gist", "varchar"), ("About", "text")):
        company.deal_fields.add(name, field_type)
    company.organization_fields.add("GitHub")
