"""The database is lost, and people have changed whatever they can in Pipedrive: every gist has still one deal, told by
the id in a custom field."""

from random import Random

from pipetest.sandbox.pipedrive.bodies import DealChanges
from tests.support.in_memory import InMemoryPipeline

USERS = [f"user{number}" for number in range(12)]
GISTS = 10
"""Of each user."""


def stamp_and_rewrite(memory: InMemoryPipeline, random: Random) -> None:
    """All deals hold their gist's id in a custom field, and have other titles; a tenth is archived, a twentieth in
    somebody else's organization."""
    crm = memory.world.crm
    field = crm.company.deal_fields.add("Gist id").code
    crm.company.deal_fields.add("Order")
    for deal in list(crm.deals.values()):
        stamp = DealChanges(
            title=f"Call {random.choice(USERS)} about maps", custom_fields={field: deal.fields["title"]}
        )
        crm.change_deal(deal.id, stamp)
    for deal_id in random.sample(sorted(crm.deals), len(crm.deals) // 10):
        crm.archive_deal(deal_id)
    for deal_id in random.sample(sorted(crm.deals), len(crm.deals) // 20):
        crm.move_deal(deal_id, random.choice(sorted(crm.organizations)))


def merge_and_rename(memory: InMemoryPipeline, random: Random) -> None:
    crm = memory.world.crm
    merged, into, renamed, swapped = random.sample(sorted(crm.organizations), 4)
    crm.merge_organizations(merged, into)
    crm.rename_organization(renamed, "Maps Ltd")
    crm.rename_organization(swapped, crm.organizations[merged].fields["name"])


def test_without_its_database_it_doubles_nothing_and_misses_no_deal() -> None:
    random = Random(3)
    memory = InMemoryPipeline(USERS)
    for user in USERS:
        memory.write(*[f"{random.getrandbits(128):032x}" for _ in range(GISTS)], user=user)
    memory.start()
    memory.settle()
    made = len(memory.deals())
    stamp_and_rewrite(memory, random)
    merge_and_rename(memory, random)
    memory.kill()
    memory.disk.take_away("")
    memory.disk.take_away(".previous")
    memory.write(new := f"{random.getrandbits(128):032x}", user=USERS[0])
    memory.start()
    memory.settle()
    assert made == len(USERS) * GISTS
    assert [title for title, _ in memory.deals()][made:] == [new]
    assert memory.outbox.tasks.waiting == 0
    assert len(memory.organizations()) == len(USERS)
