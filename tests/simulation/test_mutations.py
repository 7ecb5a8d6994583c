"""Each mutation fits the code as it is; ``python -m tests.simulation.mutations`` runs them."""

import pytest

from tests.simulation.mutations import MUTATIONS, Mutation, mutated


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_finds_what_it_changes_and_leaves_code_that_compiles(mutation: Mutation) -> None:
    for file, source in mutated(mutation).items():
        compile(source, file, "exec")
