"""Plastic synapses one by one, event by event, in float64: an explicit list of events each.

Nothing of the engine is used but its exponential and logarithm, so that results are the same to
the last bit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rewarded import Rewarded

from distsnn.kernels.functions import checked_log_array, exp_array
from distsnn.network import STDP

# in this order where they come at the same time
CHANGE, POST, PRE, END = -1, 0, 1, 2


def events(
    pre: Sequence[int], post: Sequence[int], axonal: int, dendritic: int, until: int
) -> list[tuple[int, int]]:
    """Return the events of a synapse, (step, kind), up to a step, in their order.

    Parameters
    ----------
    pre, post : sequence of int
        Stamps of the source's and the target's spikes.
    axonal, dendritic : int
        Parts of the delay, steps.
    until : int
        Last step.
    """
    both = [(step + axonal, PRE) for step in pre] + [(step + dendritic, POST) for step in post]
    return sorted(one for one in both if one[0] <= until)


def faded(n: int, tau: float) -> float:
    """Return the factor of n steps with a time constant, steps."""
    factor = float(exp_array(-float(n) / tau))
    return factor if factor > 1e-20 else 0.0


def power(x: float, y: float) -> float:
    """Return x^y for x, y >= 0."""
    if y in (0.0, 1.0):
        return x**y
    return float(exp_array(y * float(checked_log_array(x)))) if x > 0.0 else 0.0


class Trace:
    """A trace of spikes, and what it was before those of the step at hand."""

    def __init__(self, tau: float, nearest: bool) -> None:
        self.tau, self.nearest = tau, nearest
        self.spikes: list[tuple[int, float]] = []

    def at(self, step: int, *, before: bool) -> float:
        """Return its value at a step, of all spikes, or those strictly before it."""
        for when, value in reversed(self.spikes):
            if when < step or (when == step and not before):
                return value * faded(step - when, self.tau)
        return 0.0

    def spike(self, step: int) -> None:
        """Take a spike."""
        value = 1.0 if self.nearest else self.at(step, before=False) + 1.0
        self.spikes.append((step, value))


def pair_stdp(
    model: STDP, dt: float, weight: float, its_events: list[tuple[int, int]]
) -> tuple[float, list[float]]:
    """Return a synapse's weight (a magnitude) after some events, and those with which it acted."""
    p: Any = model
    nearest = model.pairing == "nearest"
    x, y = Trace(p.tau_plus / dt, nearest), Trace(p.tau_minus / dt, nearest)
    w_max, acted = abs(model.w_max), []
    for step, kind in its_events:
        share = weight / w_max
        if kind == POST:
            up = p.learning_rate * power(1.0 - share, p.mu_plus) * x.at(step, before=True)
            weight = min(share + up, 1.0) * w_max
            y.spike(step)
        else:
            down = p.learning_rate * p.alpha * power(share, p.mu_minus) * y.at(step, before=True)
            weight = max(share - down, 0.0) * w_max
            x.spike(step)
            acted.append(weight)
    return weight, acted


def trains(
    steps: npt.NDArray[Any], gids: npt.NDArray[Any], n_neurons: int
) -> list[npt.NDArray[np.int64]]:
    """Return the stamps of each neuron's spikes, ascending."""
    order = np.lexsort((steps, gids))
    ends = np.cumsum(np.bincount(gids, minlength=n_neurons))
    return np.split(steps[order].astype(np.int64), ends[:-1])


def modulated(
    model: Rewarded,
    dt: float,
    weight: float,
    its_events: list[tuple[int, int]],
    changes: Sequence[tuple[int, float]],
    until: int,
) -> float:
    """Return the weight (a magnitude) at a step of a synapse whose modulator changed at steps."""
    p: Any = model
    tau, tau_c = p.tau / dt, p.tau_c / dt
    tau_n = p.tau_n / dt if model.modulator else np.inf
    rate = 1.0 / tau_c + 1.0 / tau_n
    x, y = Trace(tau, nearest=False), Trace(tau, nearest=False)
    eligibility, since, m, changed = 0.0, 0, 0.0, 0
    happens = [(step, kind, 0.0) for step, kind in its_events]
    happens += [(step, CHANGE, value) for step, value in changes if step <= until]
    for step, kind, value in [*sorted(happens), (until, END, 0.0)]:
        n, start = float(step - since), m * faded(since - changed, tau_n)
        weight += eligibility * start * (1.0 - float(exp_array(-(n * rate)))) / rate
        weight = min(max(weight, 0.0), abs(model.w_max))
        eligibility, since = eligibility * float(exp_array(-(n / tau_c))), step
        if kind == CHANGE:
            m, changed = value, step
        elif kind == POST:
            eligibility += x.at(step, before=True)
            y.spike(step)
        elif kind == PRE:
            eligibility -= y.at(step, before=True)
            x.spike(step)
    return weight


def trace_of(spikes: Sequence[int], delay: int, tau: float) -> list[tuple[int, float]]:
    """Return when and to what a trace changes that follows spikes after a delay, steps."""
    changes: list[tuple[int, float]] = []
    before, value = 0, 0.0
    for step, count in zip(
        *np.unique(np.asarray(spikes, np.int64), return_counts=True), strict=True
    ):
        now = int(step) + delay
        value *= faded(now - before, tau)
        for _ in range(count):
            value += 1.0
        changes.append((now, value))
        before = now
    return changes
