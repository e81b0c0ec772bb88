"""A thousand simple neurons with thalamic noise that show rhythms of 10 and 40 Hz.

Izhikevich (2003), "Simple model of spiking neurons", IEEE Trans Neural Netw 14:1569-1572;
doi:10.1109/TNN.2003.820440. The network of the paper: time step 1 ms, the published integration
scheme, all-to-all connections, and independent noise for each neuron and step.

As in the paper, a spike acts in the next step: the delay is one step. Differences: the random
numbers, the precision (float32), and a relative error of 2⁻¹⁰ of drawn weights.
"""

import numpy as np
import numpy.typing as npt

from distsnn.counter_rng import PARAMETER
from distsnn.kernels.values import draw_values
from distsnn.network import (
    AllToAll,
    Izhikevich,
    Network,
    NoiseCurrent,
    Population,
    Projection,
    Uniform,
    distribution_code,
)
from distsnn.network.populations import Precision

START = -65.0  # mV
SEED = np.uint64(2003)  # of the neurons' parameters, which are part of the description


def build(
    excitatory: int = 800, inhibitory: int = 200, precision: Precision = "float32"
) -> Network:
    """Return the network.

    Parameters
    ----------
    excitatory, inhibitory : int
        Number of neurons.
    precision : {"float32", "float64"}
        Type of the neurons' state.

    Returns
    -------
    Network
        Weights do not depend on the number of neurons.
    """
    # from regular spiking (r = 0) to chattering (r = 1), and from low threshold to fast spiking
    r, s = _uniform(excitatory, 0), _uniform(inhibitory, 1)
    c, d = -65.0 + 15.0 * r**2, 8.0 - 6.0 * r**2
    regular = Izhikevich(a=0.02, b=0.2, c=c, d=d, consistent_integration=0)
    a, b = 0.02 + 0.08 * s, 0.25 - 0.05 * s
    fast = Izhikevich(a=a, b=b, c=-65.0, d=2.0, consistent_integration=0)
    e = Population("E", excitatory, regular, {"V_m": START, "U_m": 0.2 * START}, precision)
    i = Population("I", inhibitory, fast, {"V_m": START, "U_m": b * START}, precision)
    projections = [
        Projection(pre, post, AllToAll(), weight=weight, delay=1.0)
        for pre, weight in ((e, Uniform(0.0, 0.5)), (i, Uniform(-1.0, 0.0)))
        for post in (e, i)
    ]
    noise = [NoiseCurrent(target, 0.0, sd, interval=1.0) for target, sd in ((e, 5.0), (i, 2.0))]
    return Network([e, i], projections, noise, dt=1.0)


def _uniform(n: int, stream: int) -> npt.NDArray[np.float64]:
    """Return n numbers in [0, 1), the same on every machine."""
    kind, parameters = distribution_code(Uniform(0.0, 1.0))
    out = np.empty(n)
    draw_values(kind, *parameters, np.arange(n), PARAMETER, stream, 0, SEED, out)
    return out
