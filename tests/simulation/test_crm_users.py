"""What the daemon may expect of the people at Pipedrive."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from pipetest.sandbox.pipedrive.bodies import NewDeal, NewOrganization
from tests.simulation.clock import DAY_S
from tests.simulation.crm_users import CrmUsers
from tests.simulation.environment import Environment
from tests.simulation.run_plan import MOVES, RunPlan
from tests.simulation.storage_faults import CURRENT

SEEDS = range(12)

GIST = "5d1f0a3b7c9e4826a1b3c5d7e9f02468"


def is_moved(state: dict[str, Any], seed: int) -> bool:
    """Whether people move the deal of a gist in this state, some day, out of an organization that stays."""
    environment = Environment(replace(RunPlan.draw(seed, 20.0), hazards=frozenset({MOVES})))
    crm, clock = environment.world.crm, environment.clock
    CrmUsers(environment)
    first, _ = (crm.add_organization(NewOrganization(name), clock.seconds()).id for name in ("ada", "Bela"))
    deal = crm.add_deal(NewDeal(GIST, first), clock.seconds() - DAY_S)
    environment.disk.put(CURRENT, json.dumps({"gists": {"1": {"gist": GIST, "deal": state}}}).encode())
    ends = clock.seconds() + 2 * DAY_S
    while clock.seconds() < ends and deal.fields["org_id"] == first:
        clock.pass_time(clock.seconds() + 600.0)
    return deal.fields["org_id"] != first and crm.organizations[first].deleted_at is None


@pytest.mark.parametrize("state", [{"type": "sent"}, {"type": "quarantined", "sent": True}])
def test_people_leave_a_deal_alone_until_the_database_tells_that_it_was_made(state: dict[str, Any]) -> None:
    assert not any(is_moved(state, seed) for seed in SEEDS)


@pytest.mark.parametrize("state", [{"type": "done", "id": 1}, {"type": "wanted"}, {"type": "quarantined"}])
def test_people_move_any_other_deal(state: dict[str, Any]) -> None:
    assert any(is_moved(state, seed) for seed in SEEDS)
