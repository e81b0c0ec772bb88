"""On the ranks of this job: a run in which a script sets states of synapses.

``synapse_states.py OUT begin`` ends the run after a checkpoint, ``synapse_states.py OUT resume``
resumes it. Spikes are in flight whenever a state is set, and when the state is saved.
"""

from pathlib import Path
from typing import Any

import numpy as np
from two_parts import run_part

from distsnn.network import (
    DopamineSTDP,
    FixedIndegree,
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import Simulation

# With contiguous blocks, the last of three ranks owns no source.
E = Population("E", 150, IafPscExp())
OTHERS = Population("I", 100, IafPscExp())
SOURCES = E[10:140]


def network() -> Network:
    """Return a network with short-term plasticity, and with synapses that a signal modulates."""
    delays = Uniform(0.5, 6.0)
    depressing = Tsodyks2(U=0.4, tau_rec=Uniform(30.0, 300.0), tau_fac=40.0)
    return Network(
        [E, OTHERS],
        [
            Projection(
                *(SOURCES, OTHERS, FixedIndegree(20), 90.0, delays), synapse=depressing, name="E->I"
            ),
            Projection(
                *(E, E, FixedIndegree(10), 40.0, delays),
                synapse=DopamineSTDP(w_max=90.0, tau_c=200.0),
            ),
        ],
        [PoissonInput(E, 9000.0, 50.0), PoissonInput(OTHERS, 9000.0, 50.0)],
        [RecordSpikes(E), RecordSpikes(OTHERS)],
    )


def begin(path: Path, **settings: Any) -> None:
    """Set states while spikes are in flight, also twice within the longest delay."""
    with Simulation(network(), seed=7, out=path, partition="contiguous", **settings) as simulation:
        scaled, learning = simulation["E->I"].state, simulation["E->E"]
        simulation.run(40.0)
        scaled["x"] = np.linspace(0.1, 1.0, SOURCES.size)
        learning.state["c"] = np.linspace(-20.0, 20.0, learning.sources.size)
        learning.signal = 0.02
        simulation.run(1.3)
        scaled["u"] = 0.6
        simulation.run(1.1)
        simulation.save()


def resume(path: Path, **settings: Any) -> None:
    """Resume the run, and set states again."""
    with Simulation.resume(path, network=network(), **settings) as simulation:
        simulation.run(1.0)
        simulation["E->I"].state["x"] = np.linspace(1.0, 0.0, SOURCES.size)
        simulation["E->E"].state["c"] = 0.5
        simulation.run(30.0)
        simulation.save()


if __name__ == "__main__":
    run_part(begin, resume)
