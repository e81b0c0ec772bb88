"""On the ranks of this job: modules that ranks share, in groups of ranks.

``in_groups.py OUT PART GROUPS [STORAGE]``: GROUPS are ranks of each group, as JSON; PART is
``whole``, ``begin`` (given up some time after it was saved) or ``resume``.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distsnn.comm import Communicator, run_program
from distsnn.engine.plasticity import delivery, target_state_tracker
from distsnn.network import (
    STDP,
    AeifPscDeltaClopath,
    ClopathSTDP,
    DopamineSTDP,
    FixedIndegree,
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    Tsodyks2,
    Uniform,
)
from distsnn.network.blocks import make_blocks
from distsnn.partition.assignment import Assignment
from distsnn.simulation import Simulation, segments

# Do not wait for the disk: tests do not cut the power.
os.fsync = lambda descriptor: None


TIME_MS = 160.0
# when parts of the run end, and the state is saved, ms
PARTS, SAVED = (20.7, 80.3, 80.4, TIME_MS), 80.3
MODULATION_MS = 2.5


def network() -> Network:
    """Return two modules: 0.1 ms and more inside, 3 ms and more between them."""
    fast = IafPscExp(t_ref=1.0)
    watched = AeifPscDeltaClopath(E_L=Uniform(-72.0, -69.0), I_e=Uniform(400.0, 1500.0), t_ref=1.0)
    e = [Population(f"E{at}", 200, fast, {"V_m": Uniform(-66.0, -54.0)}) for at in range(2)]
    c = [Population(f"C{at}", 130, watched, {"u_bar_bar": -68.0}) for at in range(2)]
    rule = STDP(learning_rate=0.05, mu_plus=0.0, mu_minus=0.0, w_max=60.0)
    rewarded = DopamineSTDP(
        w_max=70.0, A_plus=2.0, A_minus=1.0, modulator="E1", modulation_delay=MODULATION_MS
    )
    clopath = {"A_LTP": Uniform(0.0, 4e-3), "A_LTD": 4e-3, "w_max": 6.0}
    near, far = Uniform(0.1, 1.0), Uniform(3.0, 6.0)
    made = []
    for at in range(2):
        own, other = (e[at], c[at]), (e[1 - at], c[1 - at])
        for (one, two), delay in ((own, near), (other, far)):
            made += [
                Projection(one, own[0], FixedIndegree(9), Uniform(5.0, 50.0), delay, synapse=rule),
                Projection(one, own[0], FixedIndegree(5), 40.0, delay, synapse=Tsodyks2()),
                Projection(
                    *(two, own[1], FixedIndegree(6), Uniform(0.2, 2.0), delay),
                    synapse=ClopathSTDP(**clopath, theta_plus=-55.0),
                ),
                Projection(one, own[1], FixedIndegree(4), 0.5, delay),
            ]
        # spikes that wait for their synapses, at home and away, and what a modulator tells all
        made += [
            Projection(
                *(other[0], own[0], FixedIndegree(5), Uniform(10.0, 60.0), 3.4),
                synapse=STDP(axonal_delay=3.0, learning_rate=0.1, w_max=90.0),
            ),
            Projection(
                *(own[0], own[0], FixedIndegree(5), Uniform(10.0, 60.0), 0.4), synapse=rewarded
            ),
            Projection(
                *(other[0], own[0], FixedIndegree(5), Uniform(10.0, 60.0), far), synapse=rewarded
            ),
        ]
    inputs = [
        *(PoissonInput(one, 11000.0 + 1000.0 * at, 45.0) for at, one in enumerate(e)),
        *(PoissonInput(one, 3000.0, 1.5) for one in c),
    ]
    records = [
        *map(RecordSpikes, (*e, *c)),
        RecordState(e[1][60:], "I_syn_ex", interval=0.3),
        # every so many whole epochs of either kind: exchanges are counted
        RecordWeights("E1->E0", 40.0, synapses=slice(3, None, 7)),
    ]
    return Network([*e, *c], made, inputs, records)


def in_groups(made: Network, groups: Sequence[int]) -> Assignment:
    """Return the assignment of a module to each group, its blocks to one rank after another."""
    table = make_blocks(made)
    first = np.cumsum([0, *groups[:-1]])
    group = table.population % 2
    owner = first[group] + np.arange(table.n_blocks) % np.array(groups)[group]
    return Assignment(sum(groups), owner.astype(np.int32), groups=groups)


def go_on(simulation: Simulation, until: float) -> None:
    """Run to some time, in parts."""
    for end in (*(part for part in PARTS if part < until), until):
        if end > simulation.time_ms + 0.05:
            simulation.run(round(end - simulation.time_ms, 1))


def main(ranks: Communicator) -> int:
    # Pieces are of whole epochs, however slow the machine.
    segments._MAX_SEGMENT_S = 1e9
    # Histories are swept at once when they are full: while others' spikes are on their way.
    delivery._SWEEP_MS, target_state_tracker._LONG_HISTORY = 1.0, 64
    out, part, groups = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    storage = sys.argv[4] if len(sys.argv) > 4 else "auto"
    made = network()
    partition = in_groups(made, groups) if groups else "round_robin"
    settings = {"out": out, "partition": partition, "communicator": ranks, "storage": storage}
    if part == "resume":
        simulation = Simulation.restore(out, **settings)
    else:
        simulation = Simulation(made, seed=3, **settings)
    if part == "whole":
        simulation.run(TIME_MS)
    elif part == "begin":
        go_on(simulation, SAVED)
        simulation.save()
        go_on(simulation, 100.0)
        simulation._stop(RuntimeError("given up"))
        return 0
    else:
        go_on(simulation, TIME_MS)
    simulation.save()
    simulation.close()
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
