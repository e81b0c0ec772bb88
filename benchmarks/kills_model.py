"""The network of `kills.py`: delays, states and stimuli that a resumed run could get wrong."""

from distsnn.network import (
    FixedIndegree,
    IafPscExp,
    Network,
    NoiseCurrent,
    Normal,
    PairwiseBernoulli,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
)


def build(neurons: int = 800) -> Network:
    """Return a network of excitatory and inhibitory neurons, recorded with states."""
    e = Population("E", neurons, IafPscExp(), {"V_m": Normal(-60.0, 3.0)})
    i = Population("I", neurons // 4, IafPscExp(), {"V_m": Normal(-60.0, 3.0)})
    delay = Normal(3.0, 1.5)
    return Network(
        [e, i],
        [
            Projection(e, e, FixedIndegree(40), weight=Normal(20.0, 2.0), delay=delay),
            Projection(e, i, PairwiseBernoulli(0.05), weight=20.0, delay=delay),
            Projection(i, e, FixedIndegree(10), weight=-100.0, delay=2.0),
        ],
        [PoissonInput(e, 8000.0, 40.0), PoissonInput(i, 8000.0, 40.0), NoiseCurrent(e, 0.0, 20.0)],
        [RecordSpikes(e), RecordSpikes(i), RecordState(e[10:30], "V_m", interval=0.5)],
    )
