"""On the ranks of this job: a run in which a script sets parameters of a plasticity rule.

``rule_parameters.py OUT begin`` ends the run after a checkpoint, ``rule_parameters.py OUT resume``
resumes it.
"""

from pathlib import Path
from typing import Any

import numpy as np
from two_parts import run_part

from distsnn.network import (
    STDP,
    FixedIndegree,
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordWeights,
    Uniform,
)
from distsnn.simulation import Simulation

# With contiguous blocks, the last of three ranks owns neurons of `OTHERS` only.
E = Population("E", 150, IafPscExp())
OTHERS = Population("I", 100, IafPscExp())
INDEGREE = 20


def network() -> Network:
    """Return a network whose excitatory synapses learn in float32."""
    rule = STDP(w_max=100.0, learning_rate=0.02, precision="float32")
    return Network(
        [E, OTHERS],
        [
            Projection(
                *(E, E, FixedIndegree(INDEGREE), Uniform(20.0, 60.0), Uniform(1.0, 4.0)),
                synapse=rule,
                name="E->E",
            ),
            Projection(E, OTHERS, FixedIndegree(INDEGREE), 40.0, Uniform(1.0, 4.0)),
        ],
        [PoissonInput(E, 9000.0, 50.0), PoissonInput(OTHERS, 9000.0, 50.0)],
        [RecordSpikes(E), RecordSpikes(OTHERS), RecordWeights("E->E", interval=7.0)],
    )


def begin(path: Path, **settings: Any) -> None:
    """Set rates of learning twice; the second time they change for few targets only."""
    with Simulation(network(), seed=7, out=path, partition="contiguous", **settings) as simulation:
        learning = simulation["E->E"]
        rates = np.full(E.size * INDEGREE, 0.02)
        for first in (0.02, 0.05):
            simulation.run(31.3)
            rates[learning.targets < 10] = first
            learning.parameters["learning_rate"] = rates
        simulation.run(23.0)
        learning.parameters["w_max"] = 70.0
        simulation.run(11.0)
        simulation.save()


def resume(path: Path, **settings: Any) -> None:
    """Resume the run, and set a time constant."""
    with Simulation.resume(path, network=network(), **settings) as simulation:
        simulation.run(20.0)
        simulation["E->E"].parameters["tau_plus"] = 12.0
        simulation.run(20.0)
        simulation.save()


if __name__ == "__main__":
    run_part(begin, resume)
