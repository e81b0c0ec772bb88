"""On the ranks of this job: trials in which a script sets values, and switches recordings.

``changes_and_resets.py OUT begin`` ends after a checkpoint in the middle of the last trial, in
``killed`` the last rank is killed some time later, ``resume`` continues the trial. The trials
before are recorded beside OUT.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from two_parts import run_part

from distsnn.comm import Communicator
from distsnn.network import (
    STDP,
    AllToAll,
    FixedIndegree,
    GammaInput,
    IafPscExp,
    Network,
    Normal,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    Tsodyks2,
)
from distsnn.simulation import Simulation

START = {"V_m": Normal(-60.0, 4.0)}
E = Population("E", 300, IafPscExp(), START)
INH = Population("I", 140, IafPscExp(), START)


def network() -> Network:
    """Return a network with static, scaled and plastic weights, and recordings of each kind."""
    return Network(
        [E, INH],
        [
            Projection(E, INH, FixedIndegree(5), 80.0, 1.5),
            Projection(INH, E, AllToAll(), -20.0, 1.5, synapse=Tsodyks2()),
            Projection(E, E, FixedIndegree(5), 40.0, 1.5, synapse=STDP(w_max=100.0)),
        ],
        [
            PoissonInput(E, 8000.0, 50.0, name="drive"),
            GammaInput(E, 80.0, 50.0, order=2, n=10),
            PoissonInput(INH, 8000.0, 50.0, correlation=0.1),
        ],
        recordings=[
            RecordSpikes(E),
            RecordSpikes(INH),
            RecordState(E, ["V_m", "I_syn_ex"], reduce="sum", name="lfp"),
            RecordState(E, ["V_m"], name="potentials"),
            RecordState("I->E", ["x", "u"], interval=0.7),
            RecordState("I->E", "x", name="mean", reduce="mean"),
            RecordWeights("E->E", interval=5.0),
        ],
    )


def first_half(simulation: Simulation) -> None:
    """Set a parameter of each kind and weights, and switch a recording off."""
    simulation.run(20.0)
    simulation[E[3:150]].parameters["V_th"] = -52.0
    simulation["I"].parameters["tau_m"] = np.linspace(8.0, 12.0, INH.size)
    simulation["drive"].parameters["rate"] = np.linspace(7000.0, 8500.0, E.size)
    simulation["I->E"].parameters["U"] = np.linspace(0.1, 0.5, INH.size)
    simulation["E->E"].parameters["tau_plus"] = 12.0
    weights = simulation["E->I"].weights.copy()
    weights[::3] *= 0.75
    simulation["E->I"].weights = weights
    simulation["E"].record["potentials"] = False
    simulation["I->E"].record["I->E"] = False
    simulation.run(15.0)


def second_half(simulation: Simulation) -> None:
    """Switch recordings back on, and another off."""
    simulation["E"].record["potentials"] = True
    simulation["I->E"].record = True
    simulation["E->E"].record = False
    simulation.run(13.0)
    simulation["E->E"].record = True
    simulation.run(10.0)


def begin(path: Path, then: Callable[[Simulation], None] | None = None, **settings: Any) -> None:
    """Simulate a trial, another with learnt weights, and half of one with described weights."""
    trials = (path.with_name(f"{path.stem} {number}.zarr") for number in (1, 2))
    with Simulation(network(), seed=2, out=next(trials), **settings) as simulation:
        first_half(simulation)
        second_half(simulation)
        simulation.reset(out=next(trials))
        first_half(simulation)
        second_half(simulation)
        simulation.reset(weights="described", out=path)
        first_half(simulation)
        simulation.save()
        if then is not None:
            then(simulation)


def killed(path: Path, communicator: Communicator) -> None:
    """Do the same, set more, simulate on, and kill the last rank."""

    def be_killed(simulation: Simulation) -> None:
        simulation["E"].parameters["V_th"] = -54.0
        simulation.run(5.0)
        if communicator.rank == communicator.size - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        simulation.run(1e6)

    begin(path, be_killed, communicator=communicator)


def resume(path: Path, **settings: Any) -> None:
    """Finish the trial."""
    with Simulation.resume(path, network=network(), **settings) as simulation:
        second_half(simulation)
        simulation.save()


if __name__ == "__main__":
    run_part(begin, killed, resume)
