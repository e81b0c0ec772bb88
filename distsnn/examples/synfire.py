"""Synfire chain: a pulse packet of spikes travels through groups of neurons, or dies out.

Diesmann, Gewaltig & Aertsen (1999), "Stable propagation of synchronous spiking in cortical neural
networks", Nature 402:529-533; doi:10.1038/990101. The neurons are as in the paper, without
relative refractoriness. Background spikes through 20,000 synapses of 0.14 mV hold them below
threshold. Each group projects all-to-all to the next group. A packet of `a` spikes with standard
deviation `sigma` either dies out, or converges to spikes of nearly all neurons of a group within 1
ms.
"""

from statistics import NormalDist

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network import (
    AllToAll,
    IafPscAlpha,
    Network,
    PoissonInput,
    Population,
    Projection,
    SpikeSource,
    TruncatedNormal,
)
from distsnn.network.populations import Precision

E_L, V_TH = -70.0, -55.0  # mV
# Postsynaptic potential: peak 0.14 mV after 1.7 ms, width at half maximum 8.5 ms.
TAU_SYN, WEIGHT = 0.325, 45.71  # ms, pA
# Of 20,000 synapses, 88 % are excitatory with 2 spikes/s, the others inhibitory with 12.5.
EXCITATORY_RATE, INHIBITORY_RATE = 17600 * 2.0, 2400 * 12.5  # spikes/s
V_MEAN, V_SD = 8.4, 2.85  # mV above rest, potential under the background input
DELAY = 5.0  # ms
PACKET_AT = 50.0  # ms


def build(
    groups: int = 10,
    width: int = 100,
    a: int = 80,
    sigma: float = 1.0,
    precision: Precision = "float32",
) -> Network:
    """Return a chain of groups G1, G2, ...; the first group receives a pulse packet.

    Parameters
    ----------
    groups : int
        Number of groups.
    width : int
        Number of neurons per group.
    a : int
        Number of spikes in the packet, which population P emits around 50 ms.
    sigma : float
        Standard deviation of their times, ms; the times are quantiles of a Gaussian.
    precision : {"float32", "float64"}
        Type of the neurons' state.

    Raises
    ------
    DescriptionError
        If a number is less than 1, or a spike would be before 0 ms.
    """
    for name, value in (("groups", groups), ("width", width), ("a", a)):
        if value < 1:
            raise DescriptionError("too few", where=f"synfire, {name}", value=value, allowed=">= 1")
    z = np.array([NormalDist().inv_cdf((i + 0.5) / a) for i in range(a)])
    times = np.round(PACKET_AT + sigma * z, 1)
    if not (sigma >= 0.0 and times[0] > 0.0):
        raise DescriptionError(
            "out of range", where="synfire, sigma", value=sigma, allowed=">= 0, within 50 ms"
        )
    neuron = IafPscAlpha(
        C_m=250.0,
        tau_m=10.0,
        tau_syn_ex=TAU_SYN,
        tau_syn_in=TAU_SYN,
        t_ref=1.0,
        E_L=E_L,
        V_reset=E_L,
        V_th=V_TH,
    )
    initial = {"V_m": TruncatedNormal(E_L + V_MEAN, V_SD, high=V_TH)}
    chain = [Population(f"G{i + 1}", width, neuron, initial, precision) for i in range(groups)]
    packet = Population("P", a, SpikeSource(times, np.arange(a, dtype=np.int32)))
    projections = [
        Projection(pre, post, AllToAll(), weight=WEIGHT, delay=DELAY)
        for pre, post in zip([packet, *chain], chain, strict=False)
    ]
    background = [
        PoissonInput(group, rate, weight)
        for group in chain
        for rate, weight in ((EXCITATORY_RATE, WEIGHT), (INHIBITORY_RATE, -WEIGHT))
    ]
    return Network([packet, *chain], projections, background)
