"""Random descriptions are refused with a place, or run, the same in every storage."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from campaigns import campaign
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import Chooser, network
from recorded import assert_same, recorded

from distsnn.errors import DescriptionError
from distsnn.network import Network
from distsnn.simulation import Simulation


@campaign(16, 80)
def test_random_network_is_refused_with_a_place_or_runs(examples: int) -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=examples)
    @given(st.data(), st.booleans(), st.sampled_from(["auto", "packed", "procedural"]))
    def throw(data: st.DataObject, wrong: bool, storage: str) -> None:
        try:
            made = network(Chooser(data.draw, wrong))
            first = simulated(made, storage, "pull")
        except DescriptionError as error:
            assert error.where, error
            assert str(error).startswith(error.where)
            seen["refused"] += 1
            return
        assert_same(first, simulated(made, "explicit", "push"))
        seen["ran"] += 1
        seen["spiked"] += first["spikes step"].size > 0

    throw()
    # neither side of the alternative may fall silent
    assert seen["refused"] > examples // 10, seen
    assert seen["spiked"] > examples // 20, seen


def simulated(made: Network, storage: str, delivery: str) -> dict[str, np.ndarray]:
    """Return what is recorded in 2 ms."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.zarr"
        with Simulation(made, out=out, storage=storage, delivery=delivery) as simulation:
            simulation.run(max(1, round(2.0 / made.dt)) * made.dt)
        return recorded(out)
