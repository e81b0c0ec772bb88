"""On the ranks of this job: a run in which a script sets weights of static synapses.

``static_weights.py OUT begin`` ends the run after a checkpoint, ``static_weights.py OUT resume``
resumes it. Spikes are in flight whenever weights are set, and when the state is saved.
"""

from pathlib import Path
from typing import Any

import numpy as np
from two_parts import run_part

from distsnn.network import (
    FixedIndegree,
    IafPscExp,
    Network,
    Normal,
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
    """Return a network with weights of both signs, several synapses of a pair, and depression."""
    delays = Uniform(0.5, 6.0)
    return Network(
        [E, OTHERS],
        [
            Projection(
                *(SOURCES, OTHERS, FixedIndegree(20), Normal(60.0, 10.0), delays), name="E->I"
            ),
            Projection(E, E, FixedIndegree(10), 40.0, delays),
            Projection(E, OTHERS, FixedIndegree(300), 1.0, delays, name="many"),
            Projection(
                *(E, OTHERS, FixedIndegree(15), Normal(150.0, 30.0), delays),
                synapse=Tsodyks2(U=Uniform(0.3, 0.6), tau_rec=60.0, tau_fac=20.0),
                name="depressed",
            ),
        ],
        [PoissonInput(E, 9000.0, 50.0), PoissonInput(OTHERS, 9000.0, 50.0)],
        [RecordSpikes(E), RecordSpikes(OTHERS)],
    )


def begin(path: Path, **settings: Any) -> None:
    """Set weights while spikes are in flight, also twice within the longest delay."""
    with Simulation(network(), seed=7, out=path, partition="contiguous", **settings) as simulation:
        simulation.run(40.0)
        simulation["E->I"].weights = 1.5 * simulation["E->I"].weights
        many = simulation["many"]
        many.weights = np.round(3.0 * np.sin(np.arange(many.sources.size)))
        depressed = simulation["depressed"]
        depressed.weights = np.round(170.0 * np.cos(np.arange(depressed.sources.size)))
        simulation.run(1.3)
        depressed.parameters["tau_rec"] = 30.0
        drawn = simulation["E->I"].weights.copy()
        drawn[::3] *= -1.0
        simulation["E->I"].weights = drawn
        depressed.weights = np.abs(depressed.weights)
        simulation.run(1.1)
        simulation.save()


def resume(path: Path, **settings: Any) -> None:
    """Resume the run, and set weights again, of one projection for the first time."""
    with Simulation.resume(path, network=network(), **settings) as simulation:
        simulation.run(1.0)
        simulation["E->I"].weights = np.abs(simulation["E->I"].weights)
        simulation["E->E"].weights = 50.0
        depressed = simulation["depressed"]
        depressed.state["x"] = 0.8
        depressed.weights = 0.75 * depressed.weights
        simulation.run(30.0)
        simulation.save()


if __name__ == "__main__":
    run_part(begin, resume)
