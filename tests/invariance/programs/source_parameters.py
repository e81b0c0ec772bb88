"""On the ranks of this job: a run in which a script sets parameters of synapse models.

``source_parameters.py OUT begin`` ends the run after a checkpoint, ``source_parameters.py OUT
resume`` resumes it. Spikes are in flight whenever a parameter is set, and when the state is saved.
"""

from pathlib import Path
from typing import Any

import numpy as np
from two_parts import run_part

from distsnn.network import (
    FixedIndegree,
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    TransmissionModel,
    Tsodyks2,
    Uniform,
)
from distsnn.simulation import Simulation

# With contiguous blocks, the last of three ranks owns no source.
E = Population("E", 150, IafPscExp())
OTHERS = Population("I", 100, IafPscExp())
SOURCES = E[10:140]
# a model of a user: facilitation alone
FACILITATING = TransmissionModel(
    traces="du/dt = (U - u)/tau : 1 (pre)",
    on_pre="used = u; u += U*(1 - u)",
    transmit="w*used",
    parameters={"U": (0.2, "1", ">= 0 and <= 1"), "tau": (90.0, "ms", "> 0")},
)


def network() -> Network:
    """Return a network with short-term plasticity, drawn and common, and delays that differ."""
    delays = Uniform(0.5, 6.0)
    drawn = Tsodyks2(U=Uniform(0.1, 0.6), tau_rec=Uniform(30.0, 300.0), tau_fac=40.0)
    own = FACILITATING(U=Uniform(0.1, 0.5))
    return Network(
        [E, OTHERS],
        [
            Projection(SOURCES, E, FixedIndegree(20), 60.0, delays, synapse=drawn, name="E->E"),
            Projection(
                E, OTHERS, FixedIndegree(20), Uniform(50.0, 90.0), delays, synapse=Tsodyks2()
            ),
            Projection(
                *(E, OTHERS, FixedIndegree(10), Uniform(50.0, 90.0), delays),
                synapse=own,
                name="own",
            ),
        ],
        [PoissonInput(E, 9000.0, 50.0), PoissonInput(OTHERS, 9000.0, 50.0)],
        [
            *(RecordSpikes(E), RecordSpikes(OTHERS), RecordState(E, "I_syn_ex")),
            *(RecordState("E->E", ["x", "u"], interval=0.3), RecordState("own", "u")),
            RecordState(E[::5], "x", name="sum", reduce="sum", projection="E->I"),
        ],
    )


def begin(path: Path, **settings: Any) -> None:
    """Set parameters while spikes are in flight, also twice within the longest delay."""
    with Simulation(network(), seed=7, out=path, partition="contiguous", **settings) as simulation:
        drawn, common = (simulation[name].parameters for name in ("E->E", "E->I"))
        simulation.run(40.0)
        drawn["U"] = np.linspace(0.05, 0.8, SOURCES.size)
        common["tau_fac"] = 100.0
        simulation.run(30.0)
        drawn["tau_rec"] = Uniform(20.0, 100.0)
        simulation["own"].parameters["tau"] = Uniform(20.0, 100.0)
        simulation["own"].state["u"] = np.linspace(0.1, 0.9, E.size)
        simulation.run(2.1)
        drawn["U"] = 0.4
        common["U"] = Uniform(0.1, 0.9)
        simulation.run(1.3)
        simulation.save()


def resume(path: Path, **settings: Any) -> None:
    """Resume the run, and set a parameter that was described and one that was set before."""
    with Simulation.resume(path, network=network(), **settings) as simulation:
        simulation.run(1.0)
        simulation["E->E"].parameters["tau_fac"] = 0.0
        simulation["E->I"].parameters["U"] = 0.3
        simulation["own"].parameters["U"] = 0.1
        simulation.run(30.0)
        simulation.save()


if __name__ == "__main__":
    run_part(begin, resume)
