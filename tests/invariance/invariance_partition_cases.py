"""Cases in which ranks are far from each other in time, which importing adds to the others."""

from pathlib import Path

import numpy as np
from invariance_cases import case

from distsnn.network import (
    STDP,
    ConnectionList,
    DopamineSTDP,
    FixedIndegree,
    IafPscExp,
    Network,
    OneToOne,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    TruncatedNormal,
    Tsodyks2,
    Uniform,
)

N, AREA = 130, 3  # neurons of a population (3 blocks, the last one ragged), populations of an area


@case
def areas(folder: Path) -> tuple[Network, float]:
    """Four areas, delays from 0.1 ms inside and from 3 ms between: few exchanges by `graph`."""
    draw = np.random.default_rng(17)
    start = {"V_m": Uniform(-66.0, -54.0)}
    cells = [Population(f"{a}{p}", N, IafPscExp(), start) for a in "ABCD" for p in range(AREA)]
    rule = STDP(learning_rate=0.05, mu_plus=0.0, mu_minus=0.0, w_max=150.0)
    rewarded = DopamineSTDP(
        w_max=150.0, A_plus=2.0, A_minus=1.0, modulator="A2", modulation_delay=5.0
    )
    near = {"delay": TruncatedNormal(0.5, 0.4, 0.1), "weight": Uniform(20.0, 90.0)}
    far = {"delay": TruncatedNormal(4.0, 1.0, 3.0), "weight": Uniform(20.0, 80.0)}
    edges = ConnectionList(draw.integers(0, N, 600), draw.integers(0, N, 600))
    made = []
    for at in range(0, len(cells), AREA):
        one, two, three = cells[at : at + AREA]
        next_one = cells[(at + AREA) % len(cells)]
        made += [
            Projection(one, two, FixedIndegree(9), **near),
            Projection(two, three, FixedIndegree(9), **near),
            # synapses that learn hear of local and of remote sources at other times
            Projection(three, one, FixedIndegree(9), synapse=rule, **near),
            Projection(one, next_one, FixedIndegree(12), synapse=rule, **far),
            Projection(two, next_one, FixedIndegree(5), synapse=rewarded, **far),
            Projection(three, next_one, FixedIndegree(5), synapse=Tsodyks2(tau_fac=50.0), **far),
            Projection(three, next_one, edges, 40.0, draw.integers(30, 60, 600) * 0.1),
            Projection(two, cells[(at + 7) % len(cells)], OneToOne(), 60.0, 7.5),
        ]
    inputs = [PoissonInput(one, 9000.0 + 100.0 * at, 42.0) for at, one in enumerate(cells)]
    states = [RecordState(cells[4][60:], "I_syn_ex", interval=0.3)]
    spikes = [RecordSpikes(one) for one in cells]
    return Network(cells, made, inputs, [*spikes, *states]), 80.0
