"""Models and rules written as equations, whose result must not depend on the ranks either."""

from pathlib import Path

import numpy as np
from invariance_cases import case
from own_models import ADEX, COBA, IZHIKEVICH, THREE_RECEPTORS
from own_rules import TAGGED

from distsnn.network import (
    ConstantCurrent,
    FixedIndegree,
    Network,
    NoiseCurrent,
    Normal,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    Uniform,
)


@case
def models_of_equations(folder: Path) -> tuple[Network, float]:
    # exact with exponential Euler; Runge-Kutta in parts; delta input and a count of steps;
    # Rosenbrock's method, receptors by name; traces, and states of synapses that decay or do not
    n = 200
    draw = np.random.default_rng(12)
    adex = ADEX(tau_w=draw.uniform(80.0, 200.0, n), E_L=Normal(-70.6, 0.5), t_ref=0.7)
    a = Population("A", n, adex, {"V_m": Normal(-65.0, 3.0)})
    b = Population("B", 150, COBA, {"V_m": Uniform(-60.0, -50.0)})
    c = Population("C", 70, IZHIKEVICH(a=Uniform(0.02, 0.1)), precision="float64")
    d = Population("D", 130, THREE_RECEPTORS(E_in=Normal(-80.0, 2.0)), {"V_m": Normal(-62.0, 3.0)})
    onto = {"ampa": (a, Normal(2.0, 0.5)), "nmda": (b, Normal(1.5, 0.5)), "gaba": (d, 1.0)}
    return Network(
        [a, b, c, d],
        [
            Projection(a, b, FixedIndegree(20), weight=Normal(3.0, 1.0), delay=Normal(1.0, 0.5)),
            Projection(b, a, FixedIndegree(20), weight=Normal(-9.0, 9.0), delay=Uniform(0.3, 4.0)),
            Projection(b, c, FixedIndegree(20), weight=Normal(0.5, 0.5), delay=Uniform(0.1, 9.0)),
            *(
                Projection(pre, d, FixedIndegree(15), weight, Uniform(0.2, 3.0), receptor)
                for receptor, (pre, weight) in onto.items()
            ),
            Projection(
                *(b, c, FixedIndegree(9), Uniform(0.1, 1.0), Uniform(0.3, 4.0)),
                synapse=TAGGED(w_max=1.5, axonal_delay=0.2, B=Uniform(0.01, 0.1)),
            ),
        ],
        [
            PoissonInput(b, 3000.0, 6.0),
            NoiseCurrent(a, 2000.0, 300.0),
            ConstantCurrent(c, draw.uniform(5.0, 12.0, 70)),
            PoissonInput(d, 2000.0, 1.0, "ampa"),
        ],
        [
            *map(RecordSpikes, (a, b, c, d)),
            RecordState(a, ["V_m", "w", "refractory"]),
            RecordState(b, ["V_m", "g_in"], every=0.3),
            RecordState(d, ["V_m", "g_ampa", "g_nmda", "g_gaba"]),
            RecordWeights("B->C#2", 1.3, ["pairs", "weight", "tag"], synapses=slice(0, 500, 2)),
        ],
    ), 60.0
