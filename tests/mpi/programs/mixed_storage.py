"""Run on 2 ranks: twice the same network, the second time with little memory on the last rank.

``mixed_storage.py FOLDER``. That rank then draws its synapses again whenever they are needed.
"""

import sys
from pathlib import Path

import distsnn.simulation.build
from distsnn.comm import Communicator, run_program
from distsnn.io.reader import StoreReader
from distsnn.network import (
    FixedTotalNumber,
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
)
from distsnn.simulation import Simulation


def main(ranks: Communicator) -> int:
    neurons = Population("N", 300, IafPscExp())
    network = Network(
        [neurons],
        [Projection(neurons, neurons, FixedTotalNumber(30000), weight=4.0, delay=1.5)],
        [PoissonInput(neurons, rate=9000.0, weight=40.0)],
        [RecordSpikes(neurons)],
    )
    drawn, hashes = [], []
    for name, bytes_here in (("stored", 1e9), ("mixed", 1e9 if ranks.rank == 0 else 60e3)):
        distsnn.simulation.build.available_bytes = lambda found=bytes_here: found
        out = Path(sys.argv[1]) / f"{name}.zarr"
        with Simulation(network, seed=3, out=out, communicator=ranks) as simulation:
            simulation.run(50.0)
            drawn.append(ranks.allgather(bool(simulation._built.engine.synapses.generators)))
        hashes.append(StoreReader(out).spike_hash())
        assert StoreReader(out).n_spikes > 1000
    assert drawn == [[False, False], [False, True]], drawn
    assert len(set(hashes)) == 1
    if ranks.rank == 0:
        print("the same spikes")
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
