"""Self-sustained irregular activity with current-based synapses: a benchmark for simulators.

Brette et al. (2007), "Simulation of networks of spiking neurons: a review of tools and strategies",
J Comput Neurosci 23:349-398, benchmark 2; doi:10.1007/s10827-007-0038-6, after Vogels & Abbott
(2005), J Neurosci 25:10786. Parameters as in NEST's example ``brette_et_al_2007/cuba.py``, with an
indegree that does not grow with the network.
"""

from distsnn.errors import DescriptionError
from distsnn.network import (
    FixedIndegree,
    IafPscExp,
    Network,
    Neuron,
    PoissonInput,
    Population,
    Projection,
)
from distsnn.network.populations import Precision

EXCITATORY_INDEGREE, INHIBITORY_INDEGREE = 64, 16
EXCITATORY_WEIGHT, INHIBITORY_WEIGHT = 16.2, -139.5  # pA
# A kick starts the activity: Poisson input to some excitatory neurons.
KICK_RATE, KICK_START, KICK_STOP = 300.0, 1.0, 51.0  # spikes/s, ms, ms
KICKED_OF_4000 = 50


def build(neurons: int = 4000, delay: float = 0.1, precision: Precision = "float32") -> Network:
    """Return the network of benchmark 2.

    Parameters
    ----------
    neurons : int
        Number of neurons, 80 % of them excitatory.
    delay : float
        Delay of all synapses, ms.
    precision : {"float32", "float64"}
        Type of the neurons' state.

    Returns
    -------
    Network
        Each neuron has 64 excitatory and 16 inhibitory sources at any size.

    Raises
    ------
    DescriptionError
        If a population would be empty, or no neuron would receive the kick.
    """
    neuron = IafPscExp(
        C_m=200.0,
        tau_m=20.0,
        tau_syn_ex=5.0,
        tau_syn_in=10.0,
        t_ref=5.0,
        E_L=-49.0,
        V_reset=-60.0,
        V_th=-50.0,
    )
    weights = EXCITATORY_WEIGHT, INHIBITORY_WEIGHT
    return balanced("brette_cuba", neuron, weights, neurons, delay, precision)


def balanced(
    name: str,
    neuron: Neuron,
    weights: tuple[float, float],
    neurons: int,
    delay: float,
    precision: Precision,
) -> Network:
    """Return the network that benchmarks 1 and 2 share.

    Parameters
    ----------
    name : str
        Name of the example, for error messages.
    neuron : Neuron
        Model of all neurons; potentials start at E_L.
    weights : (float, float)
        Excitatory weight (also of the kick) and inhibitory weight.
    neurons, delay, precision
        Arguments of `build`.
    """
    inhibitory_size = neurons // 5
    kicked = KICKED_OF_4000 * neurons // 4000
    if inhibitory_size < 1 or kicked < 1:
        raise DescriptionError(
            "too few neurons", where=f"{name}, neurons", value=neurons, allowed="80 or more"
        )
    initial = {"V_m": neuron.value("E_L")}
    excitatory = Population("E", neurons - inhibitory_size, neuron, initial, precision)
    inhibitory = Population("I", inhibitory_size, neuron, initial, precision)
    projections = [
        Projection(pre, post, FixedIndegree(indegree), weight=weight, delay=delay)
        for pre, indegree, weight in (
            (excitatory, EXCITATORY_INDEGREE, weights[0]),
            (inhibitory, INHIBITORY_INDEGREE, weights[1]),
        )
        for post in (excitatory, inhibitory)
    ]
    kick = PoissonInput(
        excitatory[:kicked], KICK_RATE, weights[0], start=KICK_START, stop=KICK_STOP
    )
    return Network([excitatory, inhibitory], projections, [kick])
