"""On the ranks of this job: a loop whose inputs follow from the spikes and states that it reads.

``closed_loop.py OUT begin`` gives the run up after the checkpoint in its middle, ``closed_loop.py
OUT resume`` goes on from it, ``closed_loop.py OUT whole`` does both in one run, and
``closed_loop.py OUT again`` resets in the middle and records the whole loop beside OUT.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from distsnn.comm import Communicator, run_program
from distsnn.errors import DescriptionError, RankError, UsageError
from distsnn.network import (
    ConstantCurrent,
    ContrastiveSTDP,
    DopamineSTDP,
    FixedIndegree,
    GammaInput,
    IafPscExp,
    Network,
    NoiseCurrent,
    Normal,
    OneToOne,
    Piecewise,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordWeights,
    Sine,
    SineCurrent,
    SpikeInput,
    SpikeSource,
    Uniform,
)
from distsnn.simulation import Simulation

N, PIECES, PIECE_MS = 330, 24, 1.5

# Do not wait for the disk: tests do not cut the power.
os.fsync = lambda descriptor: None


# What the loop sets, as it is described.
DESCRIBED = {
    "drive": {"rate": 0.0},
    "push": {"amplitude": 0.0},
    "noise": {"mean": 0.0, "sd": 10.0, "interval": 2.3},
    "wave": {"amplitude": 5.0, "frequency": 90.0, "phase": 0.0, "offset": 0.0},
    "wavy drive": {"rate": Sine(50.0, 130.0, 30.0, 40.0), "weight": 30.0},
    "gamma": {"rate": 500.0, "weight": 30.0, "order": 2.5},
    "hits": {"times": [0.4, 3.0], "neurons": [5, 77], "weight": [200.0, -90.0]},
}


def network() -> Network:
    """Return excitable neurons that a rate, a current and sources drive."""
    e = Population("E", N, IafPscExp(), {"V_m": Normal(-60.0, 4.0)})
    s = Population("S", 200, SpikeSource([20.0], [7]))
    return Network(
        [e, s],
        [
            Projection(e, e, FixedIndegree(10), weight=Normal(40.0, 4.0), delay=Normal(1.5, 0.5)),
            Projection(s, e[50:250], OneToOne(), weight=800.0, delay=0.7),
            # rewarded by the script: a signal acts on synapses of all ranks
            Projection(
                *(e, e, FixedIndegree(4), Uniform(10.0, 50.0), Uniform(0.7, 4.0)),
                synapse=DopamineSTDP(A_plus=0.4, A_minus=0.3, tau_c=20.0, w_max=60.0),
                name="rewarded",
            ),
            Projection(
                *(s, e, FixedIndegree(3), Uniform(10.0, 50.0), 1.1),
                synapse=ContrastiveSTDP(eta=0.5, tau=20.0, axonal_delay=0.4, w_max=60.0),
                name="contrastive",
            ),
        ],
        [
            PoissonInput(e, 8500.0, 55.0),
            PoissonInput(e[100:], 0.0, 40.0, name="drive"),
            ConstantCurrent(e, 0.0, name="push"),
            SineCurrent(e[7:], 5.0, 90.0, name="wave"),
            PoissonInput(e[50:], Sine(50.0, 130.0, 30.0, 40.0), 30.0, name="wavy drive"),
            # held over pieces
            NoiseCurrent(e[30:], 0.0, 10.0, interval=2.3, name="noise"),
            GammaInput(e[5:300:3], 500.0, 30.0, order=2.5, n=2, name="gamma"),
            SpikeInput(e[10:300], [0.4, 3.0], [5, 77], [200.0, -90.0], name="hits"),
        ],
        [
            *map(RecordSpikes, (e, s)),
            RecordWeights("rewarded", 0.7, ["weight", "c"], synapses=slice(3, None, 5)),
            RecordWeights("contrastive", 1.5),
        ],
    )


def go_on(simulation: Simulation, rank: int, until: int) -> None:
    """Pass through the loop: rank 0's inputs count, the others offer what nobody may look at."""
    dt = simulation.network.dt
    while (piece := round(simulation.time_ms / PIECE_MS)) < until:
        simulation.run(PIECE_MS)
        counts = simulation["E"].spike_counts()
        _, gid = simulation[network().populations[0][:200]].spikes()
        v = simulation["E"].state["V_m"]
        gamma = simulation["gamma"].state
        due = (gamma["next_spikes"] - gamma["clock"][:, None])[:, 0]
        mine = rank == 0
        rate: Any = 4000.0 / (1 + counts.sum()) if piece % 3 else 100.0 * (v[100:] + 80.0)
        simulation["drive"].set(rate=rate if mine else None)
        simulation["push"].set(amplitude=20.0 * counts + due.mean() if mine else "nothing")
        times = simulation.time_ms + dt * (1 + gid % 20)
        once = np.unique(gid, return_index=True)[1]
        later = simulation.time_ms + 2.1  # once more after the next piece, to be in flight
        simulation["S"].emit(gid[once], times[once])
        simulation["S"].emit([piece] if mine else rank, later + dt if mine else object())
        reward = 0.001 * (counts.sum() - 20.0 * (piece % 3))
        simulation["rewarded"].signal = reward if mine else np.nan
        simulation["contrastive"].signal = 1.0 - piece % 3 if mine else np.nan
        noise = {"mean": counts[30:], "sd": 2.0 * piece, "interval": 2.3 if piece < 9 else None}
        simulation["noise"].set(**(noise if mine else {}))
        wave = {"amplitude": 0.3 * counts[7:], "frequency": 30.0 + counts.sum()}
        simulation["wave"].set(**(wave if mine else {}))
        # of one wave, then of each neuron's own
        offset = 100.0 if piece < 3 else 9.0 * counts[50:]
        simulation["wavy drive"].set(**({"offset": offset, "phase": 20.0 * piece} if mine else {}))
        simulation["wavy drive"].set(weight=(30.0 if piece % 5 else -20.0) if mine else None)
        course = Piecewise([0.0, later], [500.0, 100.0 + counts.sum()])
        changed = {"order": 1.0 + piece % 4, "rate": course, "weight": 25.0 + piece % 2}
        simulation["gamma"].set(**(changed if mine else {}))
        listed = {"times": [later, later + 1.0, 99.0], "neurons": counts[:3], "weight": 90.0}
        simulation["hits"].set(**(listed if mine else {}))
        hit = np.array([piece, 10 * piece, 289 - piece])
        weights = [150.0, -90.0, 200.0]
        simulation["hits"].emit(hit if mine else rank, later - 1.0, weights if mine else "none")


def check_errors(simulation: Simulation, rank: int) -> None:
    """Check that what is wrong on rank 0 is refused on all, and what others give is not seen."""
    for wrong in ({"rate": -1.0}, {"rates": 1.0}):
        try:
            simulation["drive"].set(**(wrong if rank == 0 else {"rate": 1.0}))
        except (DescriptionError, RankError) as error:
            assert isinstance(error, DescriptionError) == (rank == 0)
            continue
        raise AssertionError(f"{wrong} was set")
    handle = simulation["S" if rank == 1 else "E"]
    for read in (handle.spikes, handle.spike_counts):
        try:
            read()
        except UsageError:
            continue
        raise AssertionError("ranks read different spikes")


def main(ranks: Communicator) -> int:
    out, part, rank = Path(sys.argv[1]), sys.argv[2], ranks.rank
    if part == "resume":
        simulation = Simulation.restore(out, out=out, communicator=ranks)
    else:
        simulation = Simulation(network(), seed=3, out=out, communicator=ranks)
        go_on(simulation, rank, PIECES // 2)
        check_errors(simulation, rank)
        simulation.save()
    if part == "again":
        simulation.reset(weights="described", out=out.with_name("again.zarr"))
        for name, values in DESCRIBED.items():
            simulation[name].set(**(values if rank == 0 else {}))
    if part == "begin":
        simulation.run(PIECE_MS)
        simulation._stop(RuntimeError("given up"))
        return 0
    with simulation:
        go_on(simulation, rank, PIECES)
        simulation.save()
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
