"""Stimuli that are currents: constant, stepwise constant, a sine and noise."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from distsnn.errors import DescriptionError
from distsnn.network.checks import (
    ANY,
    NOT_NEGATIVE,
    POSITIVE,
    FloatArray,
    as_floats,
    as_number,
    interval_steps,
)
from distsnn.network.model import Neuron
from distsnn.network.populations import Target
from distsnn.network.stimuli import (
    WINDOW,
    PerNeuron,
    Piecewise,
    Quantity,
    Sine,
    Stimulus,
    as_per_neuron,
    check_window,
    sine_ranges,
)
from distsnn.network.stimulus_docs import documented
from distsnn.network.values import ValueLike

_STEPWISE = "The current is constant within a step: models integrate it as they do any current."


def _check_current(model: Neuron, *, where: str) -> None:
    if not model.accepts_current:
        raise DescriptionError(f"{model.name} takes no current", where=where)


@documented
@dataclass(frozen=True, eq=False, init=False)
class ConstantCurrent(Stimulus):
    """A constant current.

    Parameters
    ----------
    target : Population, PopulationView or str
        The neurons that receive it.
    amplitude : float or array_like (n_targets,)
        Current, pA.
    start, stop : float, ms
        When it flows, on the grid; `stop` may be infinite.
    name : str, optional
        Name.
    """

    equations = ("I_stim += amplitude  # from start to stop",)
    quantities: ClassVar[Mapping[str, Quantity]] = {"amplitude": ("pA", ANY), **WINDOW}
    per_neuron = ("amplitude",)
    scheme = (_STEPWISE,)
    peers: ClassVar[Mapping[str, str]] = {"NEST": "dc_generator", "GeNN": "DC"}

    amplitude: PerNeuron
    start: float
    stop: float

    def __init__(
        self,
        target: Target,
        amplitude: ValueLike,
        start: float = 0.0,
        stop: float = math.inf,
        name: str | None = None,
    ) -> None:
        self._begin(target, name)
        self._fill(
            amplitude=as_per_neuron(amplitude, where=self._place("amplitude")),
            start=as_number(start, where=self._place("start")),
            stop=as_number(stop, where=self._place("stop")),
        )

    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check amplitude and window."""
        _check_current(model, where=where)
        self._check_per_neuron("amplitude", where=where)
        check_window(self.start, self.stop, dt, where=where)


@documented
@dataclass(frozen=True, eq=False, init=False)
class StepCurrent(Stimulus):
    """A current that is constant between given times.

    Parameters
    ----------
    target : Population, PopulationView or str
        The neurons that receive it.
    times : array_like, shape (n_times,), ms
        Increasing, on the grid; ``amplitudes[i]`` flows from ``times[i]`` on, none before.
    amplitudes : array_like, shape (n_times,) or (n_times, n_targets)
        Currents, pA: common to all target neurons, or one column for each.
    name : str, optional
        Name.
    """

    equations = ("I_stim += amplitudes[i]  # from times[i] to times[i + 1]",)
    quantities: ClassVar[Mapping[str, Quantity]] = {"amplitudes": ("pA", ANY)}
    scheme = (_STEPWISE,)
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": "step_current_generator",
        "Brian2": "equations, `TimedArray`",
    }

    times: FloatArray
    amplitudes: FloatArray

    def __init__(
        self, target: Target, times: ValueLike, amplitudes: ValueLike, name: str | None = None
    ) -> None:
        self._begin(target, name)
        self._fill(
            times=as_floats(times, where=self._place("times")),
            amplitudes=as_floats(amplitudes, where=self._place("amplitudes")),
        )

    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check times and amplitudes."""
        _check_current(model, where=where)
        course = Piecewise(self.times, self.amplitudes)
        allowed = self.quantities["amplitudes"][1]
        course.check(self.target.size, allowed, dt, where=f"{where}, field amplitudes")


@documented
@dataclass(frozen=True, eq=False, init=False)
class SineCurrent(Stimulus):
    """A current that is a sine of time: offset + amplitude · sin(2π · frequency · t + phase).

    Parameters
    ----------
    target : Population, PopulationView or str
        The neurons that receive it.
    amplitude : float or array_like (n_targets,)
        Amplitude, pA.
    frequency : float or array_like (n_targets,)
        Frequency, Hz: from 0 to half the number of time steps in a second.
    phase : float or array_like (n_targets,)
        Phase at time 0 (not at `start`), degrees.
    offset : float or array_like (n_targets,)
        Mean current, pA.
    start, stop : float, ms
        When it flows, on the grid; `stop` may be infinite.
    name : str, optional
        Name.
    """

    equations = (
        "I_stim += offset + amplitude*sin(2*pi*frequency*t + phase)  # from start to stop",
    )
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "amplitude": ("pA", ANY),
        "frequency": ("Hz", NOT_NEGATIVE),
        "phase": ("degrees", ANY),
        "offset": ("pA", ANY),
        **WINDOW,
    }
    # the range of frequencies depends on the time step
    per_neuron = ("amplitude", "phase", "offset")
    scheme = (
        "In each time step the current has the value of the step's begin. It is within rounding of",
        "the exact one after any number of steps.",
    )
    peers: ClassVar[Mapping[str, str]] = {"NEST": "ac_generator", "GeNN": "AC"}

    amplitude: PerNeuron
    frequency: PerNeuron
    phase: PerNeuron
    offset: PerNeuron
    start: float
    stop: float

    def __init__(
        self,
        target: Target,
        amplitude: ValueLike,
        frequency: ValueLike,
        phase: ValueLike = 0.0,
        offset: ValueLike = 0.0,
        start: float = 0.0,
        stop: float = math.inf,
        name: str | None = None,
    ) -> None:
        self._begin(target, name)
        self._fill(
            amplitude=as_per_neuron(amplitude, where=self._place("amplitude")),
            frequency=as_per_neuron(frequency, where=self._place("frequency")),
            phase=as_per_neuron(phase, where=self._place("phase")),
            offset=as_per_neuron(offset, where=self._place("offset")),
            start=as_number(start, where=self._place("start")),
            stop=as_number(stop, where=self._place("stop")),
        )

    def course(self) -> Sine:
        """Return the current as a function of time, pA."""
        return Sine(self.amplitude, self.frequency, self.phase, self.offset)

    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check the sine's parameters and the window."""
        _check_current(model, where=where)
        for field, allowed in sine_ranges(dt).items():
            self._check_per_neuron(field, allowed=allowed, where=where)
        check_window(self.start, self.stop, dt, where=where)


@documented
@dataclass(frozen=True, eq=False, init=False)
class NoiseCurrent(Stimulus):
    """Gaussian noise, drawn for each target neuron every `interval`.

    Parameters
    ----------
    target : Population, PopulationView or str
        The neurons that receive it.
    mean, sd : float or array_like (n_targets,)
        Mean and standard deviation (>= 0) of the current, pA.
    interval : float, optional, ms
        Time for which a drawn current holds, on the grid; dt if left out.
    start, stop : float, ms
        When it flows, on the grid; `stop` may be infinite.
    name : str, optional
        Name.
    """

    equations = ("I_stim += mean + sd*normal()  # drawn every interval, from start to stop",)
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "mean": ("pA", ANY),
        "sd": ("pA", NOT_NEGATIVE),
        "interval": ("", POSITIVE),
        **WINDOW,
    }
    per_neuron = ("mean", "sd")
    scheme = (_STEPWISE,)
    peers: ClassVar[Mapping[str, str]] = {"NEST": "noise_generator", "Brian2": "equations (`xi`)"}

    mean: PerNeuron
    sd: PerNeuron
    interval: float | None
    start: float
    stop: float

    def __init__(
        self,
        target: Target,
        mean: ValueLike,
        sd: ValueLike,
        interval: float | None = None,
        start: float = 0.0,
        stop: float = math.inf,
        name: str | None = None,
    ) -> None:
        self._begin(target, name)
        if interval is not None:
            interval = as_number(interval, where=self._place("interval"))
        self._fill(
            mean=as_per_neuron(mean, where=self._place("mean")),
            sd=as_per_neuron(sd, where=self._place("sd")),
            interval=interval,
            start=as_number(start, where=self._place("start")),
            stop=as_number(stop, where=self._place("stop")),
        )

    def interval_steps(self, dt: float) -> int:
        """Return the interval in steps."""
        where = self._place("interval")
        where = where if self.name is None else f"stimulus {self.name!r} ({where})"
        return 1 if self.interval is None else interval_steps(self.interval, dt, where=where)

    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check mean, standard deviation, interval and window."""
        _check_current(model, where=where)
        self._check_per_neuron("mean", where=where)
        self._check_per_neuron("sd", where=where)
        if self.interval is not None:
            interval_steps(self.interval, dt, where=f"{where}, field interval")
        check_window(self.start, self.stop, dt, where=where)
