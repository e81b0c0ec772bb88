"""Balanced random network with STDP: NEST's benchmark for supercomputers.

Morrison, Aertsen & Diesmann (2007), "Spike-timing-dependent plasticity in balanced random
networks", Neural Comput 19:1437-1467; doi:10.1162/neco.2007.19.6.1437. Parameters as in NEST's
example ``hpc_benchmark.py``.
"""

import math

from distsnn.errors import DescriptionError
from distsnn.network import (
    FixedIndegree,
    IafPscAlpha,
    Network,
    Normal,
    PoissonInput,
    Population,
    Projection,
    STDPPowerLaw,
)
from distsnn.network.populations import Precision

SIZES = {"E": 9000, "I": 2250}
INDEGREES = {"E": 9000, "I": 2250}  # at any scale
C_M, TAU_M, T_REF, THRESHOLD = 250.0, 10.0, 0.5, 20.0  # pF, ms, ms, mV above rest
# ms: a postsynaptic potential peaks after 1.7008 ms
TAU_SYN = 0.32582722403722841
DELAY = 1.5  # ms
PEAK = 0.14  # mV, of an excitatory postsynaptic potential
RELATIVE_INHIBITION = -5.0  # inhibitory / excitatory weights
RELATIVE_DRIVE = 1.685  # external rate / rate that just drives a neuron to its threshold
# The power law applies to weights in pA.
LEARNING = STDPPowerLaw(tau_plus=15.0, tau_minus=30.0, learning_rate=0.1, alpha=0.0513, mu=0.4)


def build(
    scale: float = 1.0,
    plastic: bool = True,
    density: float = 1.0,
    precision: Precision = "float32",
) -> Network:
    """Return the network: 126.6 million synapses at scale 1.

    Parameters
    ----------
    scale : float
        Number of neurons relative to scale 1 (9000 excitatory, 2250 inhibitory). Indegrees do not
        change, so small networks have more synapses per pair.
    plastic : bool
        If True, synapses between excitatory neurons are plastic.
    density : float
        Indegrees relative to the original. External input does not change, so below 1 there is less
        inhibition, and neurons are more active.
    precision : {"float32", "float64"}
        Type of the neurons' state; plastic weights are float32.

    Returns
    -------
    Network
        Populations E and I; projections are named by source and target, such as E->E.

    Raises
    ------
    DescriptionError
        If a population would be empty or an indegree 0.
    """
    sizes = _scaled(SIZES, scale, "scale")
    indegrees = _scaled(INDEGREES, density, "density")
    neuron = IafPscAlpha(
        C_m=C_M,
        tau_m=TAU_M,
        tau_syn_ex=TAU_SYN,
        tau_syn_in=TAU_SYN,
        t_ref=T_REF,
        E_L=0.0,
        V_reset=0.0,
        V_th=THRESHOLD,
    )
    start = {"V_m": Normal(5.7, 7.2)}
    populations = [Population(name, size, neuron, start, precision) for name, size in sizes.items()]
    excitatory = PEAK / _peak()
    weights = {"E": excitatory, "I": RELATIVE_INHIBITION * excitatory}
    projections = [
        Projection(
            pre,
            post,
            FixedIndegree(indegrees[pre.name], autapses=False),
            weight=weights[pre.name],
            delay=DELAY,
            synapse=LEARNING if plastic and pre.name == post.name == "E" else None,
            name=f"{pre.name}->{post.name}",
        )
        for pre in populations
        for post in populations
    ]
    # Charge of a spike: weight e tau_syn. This rate, spikes/ms, holds the potential at threshold.
    threshold_rate = THRESHOLD * C_M / TAU_M / (excitatory * math.e * TAU_SYN)
    rate = 1e3 * RELATIVE_DRIVE * threshold_rate
    stimuli = [PoissonInput(population, rate, excitatory) for population in populations]
    return Network(populations, projections, stimuli)


def _scaled(numbers: dict[str, int], factor: float, name: str) -> dict[str, int]:
    smallest = min(numbers.values())
    if not smallest * factor >= 1.0:
        raise DescriptionError(
            "too small",
            where=f"hpc_benchmark, {name}",
            value=factor,
            allowed=f"{1.0 / smallest:.3g} or more",
        )
    return {key: int(number * factor) for key, number in numbers.items()}


def _peak() -> float:
    """Return the peak of the postsynaptic potential for a weight of 1 pA, mV.

    With b = 1/tau_syn - 1/tau_m, and s = b t, V is e/(C tau_syn b^2) exp(-t/tau_m)
    (1 - (1 + s) exp(-s)), which is largest where exp(s) = 1 + s tau_m/tau_syn.
    """
    b, s = 1.0 / TAU_SYN - 1.0 / TAU_M, 1.0
    for _ in range(100):  # the distance shrinks to a fifth each time
        s = math.log(1.0 + s * TAU_M / TAU_SYN)
    shape = math.exp(-s / (b * TAU_M)) * (1.0 - (1.0 + s) * math.exp(-s))
    return math.e / (C_M * TAU_SYN * b**2) * shape
