"""Parameters of synapse models that a script sets act the same on any number of ranks."""

import sys
from pathlib import Path

import pytest
from command_jobs import run_program
from recorded import assert_same, recorded, state_digest

sys.path.insert(0, str(Path(__file__).parent / "programs"))

import source_parameters

from distsnn.io.reader import StoreReader

pytestmark = [pytest.mark.timeout(300), pytest.mark.ci]


@pytest.mark.parametrize(("begun", "resumed"), [(2, 1), (3, 2)])
def test_parameters_set_on_some_ranks_and_resumed_on_others(
    tmp_path: Path, begun: int, resumed: int
) -> None:
    alone, other = tmp_path / "alone.zarr", tmp_path / "other.zarr"
    source_parameters.begin(alone)
    run_program(source_parameters.__file__, begun, other, "begin")
    assert state_digest(alone) == state_digest(other)
    source_parameters.resume(alone)
    run_program(source_parameters.__file__, resumed, other, "resume")
    assert [len(one.ranks) for one in StoreReader(other).attempts] == [begun, resumed]
    assert_same(recorded(alone), recorded(other))
    assert state_digest(alone) == state_digest(other)
    assert StoreReader(alone).n_spikes > 200
