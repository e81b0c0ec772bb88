"""The network of `kills.py`: delays, states and stimuli that a resumed run could get wrong."""

from distsnn.network import (
    STDP,
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
    RecordWeights,
    Tsodyks2,
)


def build(neurons: int = 800) -> Network:
    """Return a network with synapses of each kind, recorded with states and weights."""
    e = Population("E", neurons, IafPscExp(), {"V_m": Normal(-60.0, 3.0)})
    i = Population("I", neurons // 4, IafPscExp(), {"V_m": Normal(-60.0, 3.0)})
    delay = Normal(3.0, 1.5)
    return Network(
        [e, i],
        [
            Projection(e, e, FixedIndegree(40), weight=Normal(20.0, 2.0), delay=delay),
            Projection(e, i, PairwiseBernoulli(0.05), weight=20.0, delay=delay),
            Projection(i, e, FixedIndegree(10), weight=-100.0, delay=2.0, synapse=Tsodyks2()),
            Projection(
                *(e, e, FixedIndegree(10), Normal(20.0, 2.0), delay),
                synapse=STDP(w_max=40.0),
                name="E->E learning",
            ),
        ],
        [
            PoissonInput(e, 8000.0, 40.0, name="drive"),
            PoissonInput(i, 8000.0, 40.0),
            NoiseCurrent(e, 0.0, 20.0, name="noise"),
        ],
        [
            RecordSpikes(e),
            RecordSpikes(i),
            RecordState(e[10:30], "V_m", interval=0.5, name="potentials"),
            RecordState("I->E", ["x", "u"], interval=5.0),
            RecordWeights("E->E learning", interval=20.0, synapses=slice(None, None, 20)),
        ],
    )
