"""The benchmark networks' parameters, for the peers' scripts (distsnn's examples have their own).

Units: ms, mV, pA, pF, spikes/s.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

DT = 0.1


class Brunel:
    """Brunel (2000), J. Comput. Neurosci. 8:183, asynchronous irregular state (g = 5, eta = 2).

    Delta synapses; 4 order excitatory and order inhibitory neurons; every neuron gets 10 % of
    each population and Poisson input of eta times the threshold rate.
    """

    def __init__(self, order: int) -> None:
        self.n_ex, self.n_in = 4 * order, order
        self.indegree_ex, self.indegree_in = self.n_ex // 10, self.n_in // 10

    tau_m, t_ref, v_rest, v_reset, v_th = 20.0, 2.0, 0.0, 0.0, 20.0
    delay = 1.5
    weight_ex, weight_in = 0.1, -0.5
    eta = 2.0

    @property
    def neurons(self) -> int:
        """All neurons."""
        return self.n_ex + self.n_in

    @property
    def synapses(self) -> int:
        """All recurrent synapses."""
        return self.neurons * (self.indegree_ex + self.indegree_in)

    @property
    def input_rate(self) -> float:
        """Rate of the Poisson input of one neuron, spikes/s."""
        return 1e3 * self.eta * self.v_th / (self.weight_ex * self.tau_m)


class HpcBenchmark:
    """NEST's ``hpc_benchmark.py``, after Morrison et al. (2007), Neural Comput 19:1437.

    Indegrees do not grow with the network; `density` scales them, which the original does not.
    """

    def __init__(self, scale: float, density: float = 1.0) -> None:
        self.n_ex, self.n_in = int(9000 * scale), int(2250 * scale)
        self.indegree_ex, self.indegree_in = int(9000 * density), int(2250 * density)

    c_m, tau_m, tau_syn, t_ref = 250.0, 10.0, 0.32582722403722841, 0.5
    v_rest, v_reset, v_th = 0.0, 0.0, 20.0
    v_start_mean, v_start_sd = 5.7, 7.2
    delay = 1.5
    weight_ex = 45.609600316540956  # a potential of 0.14 mV at its peak
    weight_in = -5.0 * weight_ex
    eta = 1.685
    tau_minus = 30.0  # of the neurons, in NEST
    stdp: ClassVar = {"alpha": 0.0513, "lambda": 0.1, "mu": 0.4, "tau_plus": 15.0}

    @property
    def neurons(self) -> int:
        """All neurons."""
        return self.n_ex + self.n_in

    @property
    def synapses(self) -> int:
        """All recurrent synapses."""
        return self.neurons * (self.indegree_ex + self.indegree_in)

    @property
    def input_rate(self) -> float:
        """Rate of the Poisson input of one neuron, spikes/s."""
        charge = self.weight_ex * math.e * self.tau_syn
        return 1e3 * self.eta * self.v_th * self.c_m / self.tau_m / charge


class Brette:
    """What benchmarks 1 and 2 of Brette et al. (2007), J. Comput. Neurosci. 23:349, share.

    80 % excitatory; indegree 64 + 16 at any size. 1/80 of the excitatory neurons get Poisson
    spikes for the first 50 ms, after which the activity sustains itself.
    """

    def __init__(self, neurons: int) -> None:
        self.n_ex = neurons * 4 // 5
        self.n_in = neurons - self.n_ex
        self.n_stimulated = neurons // 80

    indegree_ex, indegree_in = 64, 16
    c_m, tau_m, t_ref = 200.0, 20.0, 5.0
    v_reset, v_th = -60.0, -50.0
    v_start = (-60.0, -50.0)  # uniform
    tau_syn_ex, tau_syn_in = 5.0, 10.0
    delay = 0.1
    stimulus_rate, stimulus_start, stimulus_stop = 300.0, 1.0, 51.0

    @property
    def neurons(self) -> int:
        """All neurons."""
        return self.n_ex + self.n_in

    @property
    def synapses(self) -> int:
        """All recurrent synapses."""
        return self.neurons * (self.indegree_ex + self.indegree_in)


class BretteCuba(Brette):
    """Benchmark 2: current-based synapses (pA). E_L lies above V_th."""

    e_l = -49.0
    weight_ex, weight_in = 16.2, -139.5


class BretteCoba(Brette):
    """Benchmark 1: conductance-based synapses (nS)."""

    e_l, e_ex, e_in, g_l = -60.0, 0.0, -80.0, 10.0
    weight_ex, weight_in = 6.0, 67.0


class Izhikevich:
    """Neurons of Izhikevich (2003), IEEE Trans. Neural Netw. 14:1569, sparsely connected.

    80 % regular spiking, 20 % fast spiking; indegree 80 + 20 at any size, for the recipe's
    all-to-all: weights (mV, added to v) are larger by as much as there are fewer. Gaussian input
    current, constant for 1 ms, as in the recipe. Forward Euler, dt = 0.1 ms.
    """

    def __init__(self, neurons: int) -> None:
        self.n_ex = neurons * 4 // 5
        self.n_in = neurons - self.n_ex

    indegree_ex, indegree_in = 80, 20
    a, b, c, d = (0.02, 0.1), 0.2, -65.0, (8.0, 2.0)  # RS, FS
    v_start, v_th = -65.0, 30.0
    weight_ex, weight_in = 2.5, -5.0
    noise = (5.0, 2.0)
    noise_interval = 1.0
    delay = 1.0

    @property
    def neurons(self) -> int:
        """All neurons."""
        return self.n_ex + self.n_in

    @property
    def synapses(self) -> int:
        """All synapses."""
        return self.neurons * (self.indegree_ex + self.indegree_in)


@dataclass(frozen=True)
class Connection:
    """A projection of the microcircuit: n synapses, weight (mean, pA) and delay (mean, ms)."""

    source: int
    target: int
    n: int
    weight: float
    delay: float


class Microcircuit:
    """Potjans & Diesmann (2014), Cereb. Cortex 24:785: 1 mm² of cortex, eight populations.

    `scale` scales neurons and indegrees together. Smaller indegrees get weights larger by
    1 / sqrt(scale), which keeps the input's variance, and a direct current that keeps its mean at
    the full network's rates (van Albada et al. 2015, PLoS Comput. Biol. 11:e1004490).
    """

    names = ("L23E", "L23I", "L4E", "L4I", "L5E", "L5I", "L6E", "L6I")
    full_sizes = (20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948)
    full_rates = (0.903, 2.965, 4.414, 5.876, 7.569, 8.633, 1.105, 7.829)
    # Connection probability [target][source].
    probability = (
        (0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0),
        (0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0),
        (0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0),
        (0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0),
        (0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0),
        (0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0),
        (0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252),
        (0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443),
    )
    external_indegree = (1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100)
    external_rate = 8.0
    v_start_mean = (-68.28, -63.16, -63.33, -63.45, -63.11, -61.66, -66.72, -61.43)
    v_start_sd = (5.36, 4.57, 4.74, 4.94, 4.94, 4.55, 5.46, 4.48)
    c_m, tau_m, tau_syn, t_ref = 250.0, 10.0, 0.5, 2.0
    e_l, v_reset, v_th = -65.0, -65.0, -50.0
    psp_mv = 0.15  # peak of an excitatory postsynaptic potential
    relative_in = -4.0  # inhibitory weight over excitatory weight
    relative_sd_weight, relative_sd_delay = 0.1, 0.5
    delay_ex, delay_in, external_delay = 1.5, 0.75, 1.5

    def __init__(self, scale: float, *, poisson: bool = True) -> None:
        self.poisson = poisson
        self.sizes = tuple(round(n * scale) for n in self.full_sizes)
        self.external_weight = self._excitatory_weight / math.sqrt(scale)
        self.external_rates = tuple(
            self.external_rate * round(k * scale) for k in self.external_indegree
        )
        pairs = [
            (target, source)
            for target in range(8)
            for source in range(8)
            if self.probability[target][source] > 0
        ]
        self.connections = tuple(
            Connection(
                source,
                target,
                n=round(self._full_synapses(target, source) * scale**2),
                weight=self._full_weight(target, source) / math.sqrt(scale),
                delay=self.delay_in if source % 2 else self.delay_ex,
            )
            for target, source in pairs
        )
        # Mean current that the full network's synapses would give, per population (pA): charge of
        # a spike (weight * tau_syn) times spikes per second.
        charge = self.tau_syn * 1e-3
        recurrent = [0.0] * 8
        for target, source in pairs:
            indegree = self._full_synapses(target, source) / self.full_sizes[target]
            rate = indegree * self.full_rates[source]
            recurrent[target] += charge * rate * self._full_weight(target, source)
        external = [
            charge * k * self.external_rate * self._excitatory_weight
            for k in self.external_indegree
        ]
        missing = 1.0 - math.sqrt(scale)
        self.currents = tuple(
            missing * inner + (missing if poisson else 1.0) * outer
            for inner, outer in zip(recurrent, external, strict=True)
        )

    @property
    def neurons(self) -> int:
        """All neurons."""
        return sum(self.sizes)

    @property
    def synapses(self) -> int:
        """All recurrent synapses."""
        return sum(connection.n for connection in self.connections)

    @property
    def _excitatory_weight(self) -> float:
        # The peak of the potential after a unit current step that decays exponentially.
        ratio = self.tau_m / self.tau_syn
        exponent = 1.0 / (self.tau_syn - self.tau_m)
        peak = ratio ** (self.tau_m * exponent) - ratio ** (self.tau_syn * exponent)
        return float(self.psp_mv * self.c_m / (self.tau_m * self.tau_syn * exponent * peak))

    def _full_weight(self, target: int, source: int) -> float:
        if source % 2:
            return self.relative_in * self._excitatory_weight
        doubled = (target, source) == (0, 2)  # L4E to L23E
        return self._excitatory_weight * (2.0 if doubled else 1.0)

    def _full_synapses(self, target: int, source: int) -> float:
        # Multapses allowed: the number that gives a pair at least one synapse with probability p.
        pairs = self.full_sizes[target] * self.full_sizes[source]
        return math.log(1.0 - self.probability[target][source]) / math.log(1.0 - 1.0 / pairs)
