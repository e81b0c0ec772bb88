"""Vogels & Abbott's (2005) network as Auryn's own benchmark has it: benchmark 1 with a current.

Vogels & Abbott, J Neurosci 25:10786, as benchmark 1 of Brette et al. (2007), J Comput Neurosci
23:349, and with the parameters of Auryn 8.3's example ``sim_coba_benchmark`` (Zenke & Gerstner
2014, Front Neuroinform 8:76): weights of 0.4 and 5.1 times the leak conductance, its smallest
delay of 0.8 ms for all synapses, and a constant current that would lift neurons 20 mV above rest
and so keeps them active; nothing kicks them.
"""

from distsnn.network import (
    IafCondExp,
    Network,
    PairwiseBernoulli,
    Population,
    Projection,
    RecordSpikes,
)

LEAK = 10.0  # nS
EXCITATORY_WEIGHT, INHIBITORY_WEIGHT = 0.4 * LEAK, -5.1 * LEAK
CONNECTED = 0.02  # share of the pairs of neurons
DELAY = 0.8  # ms


def build(neurons: int = 4000) -> Network:
    """Return the network: 80 % excitatory neurons, all at rest in the beginning."""
    neuron = IafCondExp(
        C_m=200.0,
        g_L=LEAK,
        E_L=-60.0,
        E_ex=0.0,
        E_in=-80.0,
        tau_syn_ex=5.0,
        tau_syn_in=10.0,
        t_ref=5.0,
        V_reset=-60.0,
        V_th=-50.0,
        I_e=20.0 * LEAK,
    )
    inhibitory = Population("I", neurons // 5, neuron)
    excitatory = Population("E", neurons - inhibitory.size, neuron)
    rule = PairwiseBernoulli(CONNECTED, autapses=False)
    projections = [
        Projection(pre, post, rule, weight=weight, delay=DELAY)
        for pre, weight in ((excitatory, EXCITATORY_WEIGHT), (inhibitory, INHIBITORY_WEIGHT))
        for post in (excitatory, inhibitory)
    ]
    populations = [excitatory, inhibitory]
    return Network(populations, projections, recordings=[RecordSpikes(one) for one in populations])
