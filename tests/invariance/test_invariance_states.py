"""States, parameters and weights that a script sets: the same on any ranks, and after resuming."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from command_jobs import run_program
from recorded import assert_same, recorded, state_digest

sys.path.insert(0, str(Path(__file__).parent / "programs"))

import rule_parameters
import set_states
import source_parameters
import static_weights
import synapse_states

from distsnn.io.reader import StoreReader
from distsnn.simulation import Simulation

pytestmark = pytest.mark.timeout(300)

# Programs of two parts, by what a script sets in them.
PARAMETERS = (rule_parameters, source_parameters)
SYNAPSES = (synapse_states, static_weights)


@pytest.mark.ci
@pytest.mark.parametrize(("begun", "resumed"), [(2, 1), (3, 2)])
def test_states_set_on_some_ranks_saved_and_set_again_on_others(
    tmp_path: Path, begun: int, resumed: int
) -> None:
    alone, other = tmp_path / "alone.zarr", tmp_path / "other.zarr"
    with Simulation(set_states.network(), seed=3, out=alone) as simulation:
        set_states.begin(simulation)
        set_states.go_on(simulation)
    run_program(set_states.__file__, begun, other, "begin")
    run_program(set_states.__file__, resumed, other, "resume")
    assert [len(one.ranks) for one in StoreReader(other).attempts] == [begun, resumed]
    assert_same(recorded(alone), recorded(other))
    assert state_digest(alone) == state_digest(other)
    assert StoreReader(alone).n_spikes > 200


@pytest.mark.ci
@pytest.mark.parametrize(
    ("program", "begun", "resumed"),
    [
        *((program, *ranks) for program in PARAMETERS for ranks in ((2, 1), (3, 2))),
        *((program, *ranks) for program in SYNAPSES for ranks in ((2, 3), (3, 1))),
    ],
)
def test_values_set_on_some_ranks_and_resumed_on_others(
    tmp_path: Path, program: ModuleType, begun: int, resumed: int
) -> None:
    alone, other = tmp_path / "alone.zarr", tmp_path / "other.zarr"
    program.begin(alone)
    run_program(str(program.__file__), begun, other, "begin")
    assert state_digest(alone) == state_digest(other)
    program.resume(alone)
    run_program(str(program.__file__), resumed, other, "resume")
    assert [len(one.ranks) for one in StoreReader(other).attempts] == [begun, resumed]
    assert_same(recorded(alone), recorded(other))
    assert state_digest(alone) == state_digest(other)
    assert StoreReader(alone).n_spikes > 200
