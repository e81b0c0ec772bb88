"""A sparse network of Izhikevich's (2003) neurons: that of ``peers/brian2_izhikevich.py``."""

from distsnn.network import (
    FixedIndegree,
    Izhikevich,
    Network,
    NoiseCurrent,
    Population,
    Projection,
    RecordSpikes,
)

EXCITATORY_INDEGREE, INHIBITORY_INDEGREE = 80, 20
EXCITATORY_WEIGHT, INHIBITORY_WEIGHT = 2.5, -5.0  # mV
DELAY = 1.0  # ms
# pA, constant for 1 ms
EXCITATORY_NOISE, INHIBITORY_NOISE = 5.0, 2.0


def build(neurons: int = 100_000) -> Network:
    """Return the network: 80 % regular spiking, 20 % fast spiking, forward Euler of 0.1 ms."""
    inhibitory = Population("I", neurons // 5, Izhikevich(a=0.1, d=2.0))
    excitatory = Population("E", neurons - inhibitory.size, Izhikevich())
    projections = [
        Projection(pre, post, FixedIndegree(indegree), weight=weight, delay=DELAY)
        for pre, indegree, weight in (
            (excitatory, EXCITATORY_INDEGREE, EXCITATORY_WEIGHT),
            (inhibitory, INHIBITORY_INDEGREE, INHIBITORY_WEIGHT),
        )
        for post in (excitatory, inhibitory)
    ]
    stimuli = [
        NoiseCurrent(excitatory, 0.0, EXCITATORY_NOISE, interval=1.0),
        NoiseCurrent(inhibitory, 0.0, INHIBITORY_NOISE, interval=1.0),
    ]
    populations = [excitatory, inhibitory]
    return Network(populations, projections, stimuli, [RecordSpikes(one) for one in populations])
