"""Self-sustained irregular activity with conductance-based synapses: a benchmark for simulators.

Brette et al. (2007), "Simulation of networks of spiking neurons: a review of tools and strategies",
J Comput Neurosci 23:349-398, benchmark 1; doi:10.1007/s10827-007-0038-6, after Vogels & Abbott
(2005), J Neurosci 25:10786. Parameters as in NEST's example ``brette_et_al_2007/coba.py``, with an
indegree that does not grow with the network.
"""

from distsnn.examples.brette_cuba import balanced
from distsnn.network import IafCondExp, Network
from distsnn.network.populations import Precision

EXCITATORY_WEIGHT, INHIBITORY_WEIGHT = 6.0, -67.0  # nS


def build(
    neurons: int = 4000, delay: float = 0.1, precision: Precision = "float32", substeps: int = 0
) -> Network:
    """Return the network of benchmark 1.

    Parameters
    ----------
    neurons : int
        Number of neurons, 80 % of them excitatory.
    delay : float
        Delay of all synapses, ms.
    precision : {"float32", "float64"}
        Type of the neurons' state.
    substeps : int
        Number of substeps per time step; 0: chosen by the model.

    Returns
    -------
    Network
        Each neuron has 64 excitatory and 16 inhibitory sources at any size.

    Raises
    ------
    DescriptionError
        If a population would be empty, or no neuron would receive the kick.
    """
    neuron = IafCondExp(
        C_m=200.0,
        g_L=10.0,
        E_L=-60.0,
        E_ex=0.0,
        E_in=-80.0,
        tau_syn_ex=5.0,
        tau_syn_in=10.0,
        t_ref=5.0,
        V_reset=-60.0,
        V_th=-50.0,
        substeps=substeps or None,
    )
    weights = EXCITATORY_WEIGHT, INHIBITORY_WEIGHT
    return balanced("brette_coba", neuron, weights, neurons, delay, precision)
