"""Trials of the network of `kills.py`: between run calls, a script changes what is described.

``kills_script.py FOLDER ...`` starts the trials, or continues them from the newest checkpoint in
the folder, on the ranks of this job.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from kills_model import build

from distsnn.comm import Communicator, run_program
from distsnn.io.checkpoint_files import generations
from distsnn.partition.graph import Graph
from distsnn.simulation import RunPolicy, Simulation

TRIALS, PARTS = 4, 4


def change(simulation: Simulation, trial: int, part: int) -> None:
    """Set values and switch recordings, before a part of a trial.

    All values follow from trial and part: a script that is resumed may set them again. A value
    that only a later part sets must survive the reset before.
    """
    e, i = simulation.network.populations
    if part == 0:
        simulation["E->E learning"].parameters["tau_plus"] = 12.0 + 2.0 * trial
        simulation["E"].record["potentials"] = trial != 1
    elif part == 1:
        simulation[e[100:500]].parameters["V_th"] = -50.5 + 0.25 * trial
        weights = np.full(simulation["E->I"].weights.shape, 20.0)
        weights[trial::3] = 15.0
        simulation["E->I"].weights = weights
        simulation["I"].record["spikes"] = False
    elif part == 2:
        simulation["drive"].parameters["rate"] = np.linspace(7500.0, 8200.0 + 50.0 * trial, e.size)
        simulation["E"].record["potentials"] = False
        simulation["E->E learning"].record = False
    else:
        simulation["I->E"].parameters["U"] = np.linspace(0.2, 0.5 + 0.1 * trial, i.size)
        simulation["noise"].parameters["sd"] = 20.0 + 5.0 * trial
        for name in ("E", "I", "E->E learning"):
            simulation[name].record = True


def run_trial(simulation: Simulation, trial: int, time_ms: float) -> None:
    """Simulate what is left of a trial, and save its last state."""
    dt = simulation.network.dt
    ends = [round(time_ms * part / PARTS / dt) for part in range(1, PARTS + 1)]
    step = round(simulation.time_ms / dt)
    for part, end in enumerate(ends):
        if step < end:
            if step in {0, *ends}:
                change(simulation, trial, part)
            simulation.run((end - step) * dt)
            step = end
    simulation.save()


def run_trials(ranks: Communicator, options: argparse.Namespace) -> None:
    """Simulate all trials that are not complete."""
    stores = [options.folder / f"trial{trial}.zarr" for trial in range(TRIALS)]
    saved = [trial for trial, store in enumerate(stores) if generations(store)]
    trial = ranks.bcast(max(saved, default=-1))
    partition = Graph() if options.strategy == "graph" else options.strategy
    policy = RunPolicy(checkpoint_every=options.every)
    settings = {"partition": partition, "policy": policy, "communicator": ranks}
    if trial < 0:
        trial = 0
        simulation = Simulation(build(), seed=3, out=stores[0], overwrite=True, **settings)
    else:
        simulation = Simulation.resume(stores[trial], **settings)
    with simulation:
        run_trial(simulation, trial, options.time / TRIALS)
        while trial + 1 < TRIALS:
            trial += 1
            weights = "described" if trial == 2 else "learnt"
            simulation.reset(weights=weights, out=stores[trial], overwrite=True)
            run_trial(simulation, trial, options.time / TRIALS)


def main(ranks: Communicator) -> int:
    """Run the command line on this rank."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--time", type=float, required=True, help="of all trials, ms")
    parser.add_argument("--every", type=float, required=True, help="ms between checkpoints")
    parser.add_argument("--strategy", default="round_robin")
    run_trials(ranks, parser.parse_args())
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
