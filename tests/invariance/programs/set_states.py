"""On the ranks of this job: a run whose states and parameters are set between its pieces.

``set_states.py OUT begin`` gives the run up after the checkpoint that follows the first setting,
``set_states.py OUT resume`` goes on from it.
"""

import os
import sys
from pathlib import Path

import numpy as np

from distsnn.comm import Communicator, run_program
from distsnn.errors import DescriptionError, RankError
from distsnn.network import (
    FixedIndegree,
    IafPscDelta,
    IafPscExp,
    Network,
    Normal,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
)
from distsnn.simulation import Simulation

# Do not wait for the disk: tests do not cut the power.
os.fsync = lambda descriptor: None


SIZES = {"E": 300, "I": 130}


def network() -> Network:
    """Return two populations, of which one keeps float32 and the other float64."""
    e = Population("E", SIZES["E"], IafPscExp(E_L=Normal(-70.0, 1.0)), {"V_m": Normal(-60.0, 4.0)})
    i = Population("I", SIZES["I"], IafPscDelta(), precision="float64")
    drawn = Normal(1.5, 0.8)
    return Network(
        [e, i],
        [
            Projection(e, e, FixedIndegree(20), weight=Normal(40.0, 4.0), delay=drawn),
            Projection(e, i, FixedIndegree(20), weight=Normal(0.5, 0.1), delay=drawn),
            Projection(i, e, FixedIndegree(10), weight=Normal(-90.0, 9.0), delay=drawn),
        ],
        [PoissonInput(e, 9000.0, 40.0), PoissonInput(i, 9000.0, 0.2)],
        [
            RecordSpikes(e),
            RecordSpikes(i),
            *(RecordState(one, "V_m", interval=0.7) for one in (e, i)),
        ],
    )


def begin(simulation: Simulation) -> None:
    """Run some time, and set states to what depends on what they are."""
    simulation.run(8.3)
    for name in SIZES:
        state = simulation[name].state
        state["V_m"] = state["V_m"][::-1]
        state["refractory"] = np.arange(SIZES[name]) % 5
    simulation["E"].parameters["tau_syn_ex"] = 2.5
    simulation[network().populations[0][70:260]].parameters["E_L"] = Normal(-68.0, 1.0)
    simulation["I"].parameters["V_th"] = np.linspace(-58.0, -54.0, SIZES["I"])


def go_on(simulation: Simulation) -> None:
    """Set some more, at two times."""
    simulation.run(5.1)
    simulation["E"].state["V_m"] = Normal(-62.0, 3.0)
    simulation[network().populations[1][20:100]].state["V_m"] = -55.5
    simulation.run(0.1)
    parameters = simulation["E"].parameters
    parameters["C_m"] = parameters["C_m"] * 0.9
    simulation["E"].state["I_syn_ex"] = simulation["E"].state["I_syn_in"] * -1.0
    simulation.run(11.5)
    simulation.save()


def check_errors(simulation: Simulation, rank: int) -> None:
    """Check that what is wrong on one rank is refused on all of them."""
    state, parameters = simulation["E"].state, simulation["E"].parameters
    for of, name, value in (
        (state, "V_m", [np.nan, -60.0][rank == 0]),
        (state, ["V_m", "V"][rank == 0], -60.0),
        (parameters, "C_m", [0.0, 200.0][rank == 0]),
        (parameters, ["V_th", "V_thr"][rank == 0], -50.0),
    ):
        try:
            of[name] = value
        except (DescriptionError, RankError):
            continue
        raise AssertionError(f"{name} was set to {value}")


def main(ranks: Communicator) -> int:
    out, part = Path(sys.argv[1]), sys.argv[2]
    if part == "begin":
        simulation = Simulation(network(), seed=3, out=out, communicator=ranks)
        begin(simulation)
        check_errors(simulation, ranks.rank)
        simulation.save()
        simulation.run(3.0)
        simulation._stop(RuntimeError("given up"))
    else:
        with Simulation.restore(out, out=out, communicator=ranks) as simulation:
            go_on(simulation)
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
