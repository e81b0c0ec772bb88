"""What a plasticity rule makes of given spikes, event by event, in float64: nothing of the engine.

The rules' own functions are called as they stand, uncompiled. Events come in order of their steps
at the synapse: a source's spike at its step plus the axonal delay, a target's plus the dendritic
one. In one step a modulating spike comes first, then the target's, then the source's; these two see
each other's traces as they were before. A signal that is set at a step acts on what comes after it,
and so does learning that is switched off and on.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def plain(function: Any) -> Any:
    """Return the Python function that a kernel was made of."""
    return function.py_func


@dataclass
class Synapse:
    """One synapse of a rule: its weight and states, its traces, and the step that they are of."""

    rule: ModuleType
    weight: float
    constants: Mapping[str, float]
    m: float = 0.0
    step: int = 0
    learns: bool = True
    kept_as: Callable[[float], Any] = float
    traces: dict[str, float] = field(default_factory=dict)
    states: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.traces = dict.fromkeys((*self.rule.SOURCE, *self.rule.TARGET), 0.0)
        begin = getattr(self.rule, "INITIAL", {})
        self.states = [self.constants.get(begin.get(name), 0.0) for name in self.rule.STATES]

    def values(self) -> list[float]:
        """Return the constants in the order of the rule's functions."""
        return [self.constants[name] for name in self.rule.CONSTANTS]

    def decay(self, name: str, steps: int) -> float:
        """Return the factor by which a trace or state decays."""
        constant = self.rule.DECAYS.get(name)
        return math.exp(-steps / self.constants[constant]) if constant else 1.0

    def advance(self, step: int) -> None:
        """Carry everything on to a step before which nothing happens."""
        steps = step - self.step
        if hasattr(self.rule, "between"):
            interval = [steps, *self.modulator()]
            self.become(
                *plain(self.rule.between)(self.weight, *self.states, *interval, *self.values())
            )
        else:
            decays = [self.decay(name, steps) for name in self.rule.STATES]
            self.states = [a * b for a, b in zip(self.states, decays, strict=True)]
        self.traces = {name: x * self.decay(name, steps) for name, x in self.traces.items()}
        self.m *= self.decay("m", steps)
        self.step = step

    def become(self, weight: float, *states: float) -> None:
        """Set weight and states; without learning, the states alone."""
        self.states = [*states]
        if self.learns:
            self.weight = float(self.kept_as(weight))

    def spike(self, change: Any) -> None:
        """Change weight and states by a spike's function."""
        known = [self.weight, *self.states, *self.traces.values(), *self.modulator()]
        if change is self.rule.on_pre and getattr(self.rule, "TRANSMITS", False):
            *found, _ = plain(change)(*known, self.learns, *self.values())
        else:
            found = plain(change)(*known, *self.values())
        self.become(*found)

    def modulator(self) -> list[float]:
        """Return the modulator's value, where the rule has one."""
        return [self.m] if getattr(self.rule, "MODULATED", False) else []

    def follow(self, change: Any, level: float) -> None:
        """Change the weight by what the target's states amount to."""
        traces = [self.traces[name] for name in self.rule.SOURCE]
        self.become(*plain(change)(self.weight, *traces, level, *self.values()))

    def count(self, names: Sequence[str], change: Any) -> None:
        """Change the traces of one side by its spike."""
        if names:
            before = [self.traces[name] for name in names]
            found = plain(change)(*before, *self.values())
            self.traces |= dict(zip(names, found, strict=True))


def given(parameters: Mapping[str, float | str]) -> dict[str, Any]:
    """Return parameters with the lower bound that there is where none is given."""
    return {"w_min": 0.0, **parameters}


def weights(
    rule: ModuleType,
    parameters: Mapping[str, float | str],
    pre: Iterable[int],
    post: Iterable[int],
    *,
    weight: float,
    dendritic: int,
    axonal: int = 0,
    dt: float = 0.1,
    modulators: Iterable[int] = (),
    signal: Iterable[tuple[int, float]] = (),
    pause: tuple[int, ...] = (),
    until: int | None = None,
) -> Floats:
    """Return the weight after every spike of the source, and last that at a step, if one is given.

    Parameters
    ----------
    rule : module
        One of distsnn.kernels.plasticity.
    parameters : mapping of str to float or str
        In the description's units; bounds are magnitudes, the lower one 0 if it is not given.
    pre, post : iterable of int
        Steps of the spikes of source and target, each at most once.
    weight : float
        At step 0.
    dendritic, axonal : int
        Delays, steps.
    dt : float
        Step, ms.
    modulators : iterable of int
        Steps at which a modulating spike arrives; several may be in one.
    signal : iterable of (int, float)
        Steps at which the modulator is set, and to what.
    pause : tuple of int
        Steps at which learning is switched off, on, off, ...
    until : int, optional
        The step up to which events are taken.
    """
    constants = {name: float(x) for name, x in rule.constants(given(parameters), dt).items()}
    posts, pres = (
        {step + delay for step in steps} for steps, delay in ((post, dendritic), (pre, axonal))
    )
    modulating, levels = Counter(modulators), dict(signal)
    synapse, found = Synapse(rule, weight, constants), []
    last = math.inf if until is None else until
    for step in sorted(posts | pres | modulating.keys() | levels.keys() | {*pause}):
        if step > last:
            break
        synapse.advance(step)
        for _ in range(modulating[step]):
            (synapse.m,) = plain(rule.modulator_spike)(synapse.m, *synapse.values())
        if step in posts:
            synapse.spike(rule.on_post)
        if step in pres:
            synapse.spike(rule.on_pre)
            found.append(synapse.weight)
        # only now: spikes of one step do not pair
        if step in posts:
            synapse.count(rule.TARGET, rule.target_spike)
        if step in pres:
            synapse.count(rule.SOURCE, rule.source_spike)
        synapse.m = levels.get(step, synapse.m)
        synapse.learns ^= step in pause
    if until is not None:
        synapse.advance(until)
        found.append(synapse.weight)
    return np.array(found)


def levels(
    rule: ModuleType,
    parameters: Mapping[str, float],
    states: Mapping[str, Floats],
    late: int,
    dt: float = 0.1,
) -> tuple[Floats, Floats]:
    """Return what a rule that follows a target's states makes of them in every step.

    Parameters
    ----------
    states : mapping of str to ndarray, shape (n_steps + 1,)
        What it follows, from step 0 on, at which nothing acts.
    late : int
        How late some of them act, steps; before step 0 they were as at step 0.
    """
    constants = [float(x) for x in rule.constants(given(parameters), dt).values()]
    n = np.arange(states[rule.WATCHED[0]].size)
    seen = [
        states[name][np.maximum(n - late, 0) if name in rule.LATE else n].tolist()
        for name in rule.WATCHED
    ]
    found = [plain(rule.watch)(*now, *constants) for now in zip(*seen, strict=True)]
    acts, meets = np.array(found).T
    acts[0] = meets[0] = 0.0
    return acts, meets


def followed(
    rule: ModuleType,
    parameters: Mapping[str, float],
    pre: Iterable[int],
    acts: Floats,
    meets: Floats,
    *,
    weight: float,
    dendritic: int,
    axonal: int = 0,
    dt: float = 0.1,
    until: int | None = None,
    kept_as: Callable[[float], Any] = float,
) -> Floats:
    """Return what `weights` does, for a rule that follows its target's states.

    Parameters
    ----------
    acts, meets : ndarray of float64, shape (n_steps + 1,)
        What `levels` returned.
    kept_as : callable
        What a weight is rounded to between events, such as numpy.float32.
    """
    constants = {name: float(x) for name, x in rule.constants(given(parameters), dt).items()}
    synapse, found = Synapse(rule, weight, constants, kept_as=kept_as), []
    pres = {step + axonal for step in pre}
    last = math.inf if until is None else until
    for step in sorted(pres | set((np.flatnonzero(acts) + dendritic).tolist())):
        if step > last:
            break
        synapse.advance(step)
        at = step - dendritic
        if 0 < at < acts.size and acts[at] != 0.0:
            synapse.follow(rule.on_post, acts[at])
        if step in pres:
            synapse.follow(rule.on_pre, meets[at] if at > 0 else 0.0)
            found.append(synapse.weight)
            synapse.count(rule.SOURCE, rule.source_spike)
    if until is not None:
        found.append(synapse.weight)
    return np.array(found)
