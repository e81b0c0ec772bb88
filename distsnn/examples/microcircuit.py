"""Cortical microcircuit: 1 mm² of early sensory cortex, 77,169 neurons and 0.3 billion synapses.

Potjans & Diesmann (2014), "The cell-type specific cortical microcircuit: relating structure and
activity in a full-scale spiking network model", Cereb Cortex 24:785-806; doi:10.1093/cercor/bhs358.
Parameters, neurons' initial potentials and the compensation of smaller networks follow the authors'
PyNEST implementation.

Eight populations: excitatory (E) and inhibitory (I) neurons of the layers 2/3, 4, 5 and 6. All
tables below are in this order, connection tables with a row per target population.
"""

import math
from decimal import Context, Decimal

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import (
    FixedTotalNumber,
    IafPscExpShared,
    Network,
    Normal,
    PoissonInput,
    Population,
    Projection,
    TruncatedNormal,
)
from distsnn.network.populations import Precision

POPULATIONS = ("L23E", "L23I", "L4E", "L4I", "L5E", "L5I", "L6E", "L6I")
SIZES = (20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948)

# Probability that a pair is connected at least once.
PROBABILITIES = (
    (0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0),
    (0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0),
    (0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0),
    (0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0),
    (0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0),
    (0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0),
    (0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252),
    (0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443),
)
# Mean rates of the full network, spikes/s, for the compensation of smaller networks.
RATES = (0.903, 2.965, 4.414, 5.876, 7.569, 8.633, 1.105, 7.829)

EXTERNAL_INDEGREES = (1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100)
EXTERNAL_RATE = 8.0  # spikes/s of each external source

INITIAL_MEANS = (-68.28, -63.16, -63.33, -63.45, -63.11, -61.66, -66.72, -61.43)  # mV
INITIAL_SDS = (5.36, 4.57, 4.74, 4.94, 4.94, 4.55, 5.46, 4.48)  # mV

C_M, TAU_M, TAU_SYN, E_L, V_TH, T_REF = 250.0, 10.0, 0.5, -65.0, -50.0, 2.0
PSP = 0.15  # mV, peak of an excitatory postsynaptic potential
INHIBITION = -4.0  # inhibitory / excitatory weights
L4E_TO_L23E = 2.0  # factor by which these weights are larger
WEIGHT_SD = 0.1  # relative to the mean
DELAYS = (1.5, 0.75)  # ms, means of excitatory and inhibitory sources
DELAY_SD = 0.5  # relative to the mean

# The last bits of a C library's log and pow depend on the machine; a description must not.
_EXACT = Context(prec=28)


def build(scale: float = 1.0, input: str = "poisson", precision: Precision = "float32") -> Network:
    """Return the microcircuit.

    Parameters
    ----------
    scale : float
        Number of neurons and indegrees relative to the full network, above 0, at most 1. Weights
        are multiplied by 1/sqrt(scale), and a constant current replaces the lost mean input, so
        that rates stay about the same; correlations increase.
    input : {"poisson", "dc"}
        External input: Poisson spike trains, or a constant current of the same mean.
    precision : {"float32", "float64"}
        Type of the neurons' state.

    Returns
    -------
    Network
        77,169 · `scale` neurons and 2.99e8 · `scale`² synapses.

    Raises
    ------
    DescriptionError
        If `scale` is out of range or `input` unknown.
    """
    if not 0.0 < scale <= 1.0:
        raise DescriptionError(
            "out of range", where="microcircuit, scale", value=scale, allowed="above 0, at most 1"
        )
    if input not in ("poisson", "dc"):
        raise unknown_name_error("input", input, ("poisson", "dc"), where="microcircuit, input")

    weights = full_weights()
    numbers = full_synapse_numbers()
    growth = 1.0 / math.sqrt(scale)
    external = PSP * current_per_potential()

    populations = []
    for i, name in enumerate(POPULATIONS):
        neuron = IafPscExpShared(
            C_m=C_M,
            tau_m=TAU_M,
            tau_syn=TAU_SYN,
            t_ref=T_REF,
            E_L=E_L,
            V_reset=E_L,
            V_th=V_TH,
            I_e=constant_current(i, weights[i], numbers[i], scale, input),
        )
        initial = {"V_m": Normal(INITIAL_MEANS[i], INITIAL_SDS[i])}
        size = max(1, round(SIZES[i] * scale))
        populations.append(Population(name, size, neuron, initial, precision))

    projections = []
    for i, post in enumerate(populations):
        for j, pre in enumerate(populations):
            number = round(numbers[i][j] * scale * scale)
            if number == 0:
                continue
            mean, delay = weights[i][j] * growth, DELAYS[j % 2]
            # Draws with the wrong sign are repeated.
            low, high = (0.0, math.inf) if mean > 0.0 else (-math.inf, 0.0)
            projections.append(
                Projection(
                    pre,
                    post,
                    FixedTotalNumber(number),
                    weight=TruncatedNormal(mean, abs(mean) * WEIGHT_SD, low, high),
                    delay=Normal(delay, delay * DELAY_SD),
                )
            )

    stimuli = []
    if input == "poisson":
        for population, indegree in zip(populations, EXTERNAL_INDEGREES, strict=True):
            rate = EXTERNAL_RATE * round(indegree * scale)
            stimuli.append(PoissonInput(population, rate, external * growth))
    return Network(populations, projections, stimuli)


def current_per_potential() -> float:
    """Return the amplitude of an exponential current that raises V_m by up to 1 mV, pA."""
    rates = 1.0 / (TAU_SYN - TAU_M)
    ratio = TAU_M / TAU_SYN
    peak = _power(ratio, rates * TAU_M) - _power(ratio, rates * TAU_SYN)
    return 1.0 / (TAU_M * TAU_SYN / C_M * rates * peak)


def full_weights() -> list[list[float]]:
    """Return the mean weights of the full network, pA, by target and source population."""
    excitatory = PSP * current_per_potential()
    weights = [[excitatory, INHIBITION * excitatory] * 4 for _ in POPULATIONS]
    weights[0][2] *= L4E_TO_L23E
    return weights


def full_synapse_numbers() -> list[list[float]]:
    """Return the synapses of the full network, by target and source population.

    With n synapses on N pairs, a pair has no synapse with probability (1 - 1/N)^n = 1 - p.
    """
    numbers = []
    for i, row in enumerate(PROBABILITIES):
        pairs = [SIZES[i] * size for size in SIZES]
        numbers.append(
            [_log(1.0 - p) / _log((n - 1.0) / n) for p, n in zip(row, pairs, strict=True)]
        )
    return numbers


def constant_current(
    target: int, weights: list[float], numbers: list[float], scale: float, input: str
) -> float:
    """Return the constant current of a population, pA.

    It replaces the external input if that has no spikes, and the mean input that a smaller network
    lacks: with indegrees ∝ `scale` and weights ∝ 1/sqrt(scale), only sqrt(scale) of it remains.
    """
    external = PSP * current_per_potential() * EXTERNAL_INDEGREES[target] * EXTERNAL_RATE
    recurrent = sum(
        weight * number / SIZES[target] * rate
        for weight, number, rate in zip(weights, numbers, RATES, strict=True)
    )
    lost = 1.0 - math.sqrt(scale)
    # charge of a spike: weight · time constant; rates are per second, times in ms
    mean = lost * recurrent + (external if input == "dc" else lost * external)
    return mean * TAU_SYN * 1e-3


def _log(x: float) -> float:
    return float(_EXACT.ln(Decimal(x)))


def _power(x: float, exponent: float) -> float:
    return float(_EXACT.power(Decimal(x), Decimal(exponent)))
