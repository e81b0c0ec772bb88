"""Balanced random network with delta synapses, in its asynchronous irregular state.

Brunel (2000), "Dynamics of sparsely connected networks of excitatory and inhibitory spiking
neurons", J Comput Neurosci 8:183-208; doi:10.1023/A:1008925309027. Parameters as in NEST's example
``brunel_delta_nest.py``.
"""

from distsnn.errors import DescriptionError
from distsnn.network import (
    FixedIndegree,
    IafPscDelta,
    Network,
    PoissonInput,
    Population,
    Projection,
)
from distsnn.network.populations import Precision

TAU_M, THRESHOLD, T_REF, DELAY = 20.0, 20.0, 2.0, 1.5  # ms, mV, ms, ms
CONNECTED = 0.1  # indegree / number of sources


def build(
    order: int = 2500,
    g: float = 5.0,
    eta: float = 2.0,
    J: float = 0.1,
    precision: Precision = "float32",
) -> Network:
    """Return Brunel's network.

    Parameters
    ----------
    order : int
        Number of inhibitory neurons, a quarter of the excitatory neurons. Use a multiple of 10,
        otherwise indegrees are rounded down.
    g : float
        Magnitude of inhibitory relative to excitatory weights.
    eta : float
        External rate relative to the rate that just drives a neuron to its threshold.
    J : float
        Excitatory weight, mV.
    precision : {"float32", "float64"}
        Type of the neurons' state.

    Returns
    -------
    Network
        5·order neurons, each with 0.4·order excitatory and 0.1·order inhibitory sources.

    Raises
    ------
    DescriptionError
        If `order` is less than 10, or J is not positive.
    """
    if order < 10:
        raise DescriptionError(
            "too small for a neuron to have a source",
            where="brunel, order",
            value=order,
            allowed="10 or more",
        )
    if not J > 0.0:
        raise DescriptionError("must be positive", where="brunel, J", value=J)
    neuron = IafPscDelta(
        C_m=1.0,
        tau_m=TAU_M,
        t_ref=T_REF,
        E_L=0.0,
        V_reset=0.0,
        V_th=THRESHOLD,
    )
    excitatory = Population("E", 4 * order, neuron, {"V_m": 0.0}, precision)
    inhibitory = Population("I", order, neuron, {"V_m": 0.0}, precision)
    excitatory_indegree = int(CONNECTED * excitatory.size)
    inhibitory_indegree = int(CONNECTED * inhibitory.size)
    projections = [
        Projection(pre, post, FixedIndegree(indegree), weight=weight, delay=DELAY)
        for pre, indegree, weight in (
            (excitatory, excitatory_indegree, J),
            (inhibitory, inhibitory_indegree, -g * J),
        )
        for post in (excitatory, inhibitory)
    ]
    # The number of external sources is the excitatory indegree; each has this rate, spikes/ms.
    threshold_rate = THRESHOLD / (J * excitatory_indegree * TAU_M)
    rate = 1e3 * eta * threshold_rate * excitatory_indegree
    stimuli = [PoissonInput(population, rate, J) for population in (excitatory, inhibitory)]
    return Network([excitatory, inhibitory], projections, stimuli)
