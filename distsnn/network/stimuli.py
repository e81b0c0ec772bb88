"""Stimuli: Poisson, gamma and given spike input, and courses of time; none has a delay."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import ClassVar, Self, TypeAlias

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.base import ADDED, Description
from distsnn.network.checks import (
    ANY,
    NOT_NEGATIVE,
    POSITIVE,
    FloatArray,
    IntArray,
    Interval,
    as_floats,
    as_indices,
    as_integer,
    as_number,
    check_increasing,
    check_indices,
    check_range,
    check_shape,
    sorted_events,
    steps_array,
)
from distsnn.network.distributions import Distribution
from distsnn.network.model import Neuron, State
from distsnn.network.populations import PopulationView, Target, as_view, check_name
from distsnn.network.stimulus_docs import documented
from distsnn.network.values import ValueLike, as_value
from distsnn.units import to_steps

PerNeuron: TypeAlias = float | FloatArray

MOST_PROCESSES = 10_000  # of a GammaInput, onto a neuron


def as_per_neuron(value: object, *, where: str) -> PerNeuron:
    """Return a number or an array of one number per target neuron."""
    checked = as_value(value, where=where)
    if isinstance(checked, Distribution):
        raise DescriptionError(
            "must be a number or an array, no distribution", where=where, value=value
        )
    return checked


def _check_per_neuron(value: PerNeuron, size: int, allowed: Interval, *, where: str) -> None:
    if isinstance(value, np.ndarray):
        check_shape(value, (size,), where=where, meaning="one value per target neuron")
    check_range(value, allowed, where=where)


@dataclass(frozen=True, eq=False)
class Piecewise(Description):
    """A quantity that is constant between given times.

    Parameters
    ----------
    times : array_like, shape (n_times,), ms
        Increasing, on the grid; ``values[i]`` holds from ``times[i]`` on, 0 before ``times[0]``.
    values : array_like, shape (n_times,) or (n_times, n_targets)
        Common to all target neurons, or one column for each.
    """

    times: FloatArray
    values: FloatArray

    def __post_init__(self) -> None:
        times = as_floats(self.times, where="Piecewise, field times")
        values = as_floats(self.values, where="Piecewise, field values")
        self._fill(times=times, values=values)

    def check(self, size: int, allowed: Interval, dt: float, *, where: str) -> None:
        """Check times and values for `size` target neurons."""
        check_increasing(self.times, where=f"{where}.times")
        steps_array(self.times, dt, where=f"{where}.times")
        n = self.times.size
        shape = (n, size) if self.values.ndim == 2 else (n,)
        check_shape(
            self.values, shape, where=f"{where}.values", meaning="(times,) or (times, targets)"
        )
        check_range(self.values, allowed, where=f"{where}.values")

    def largest(self) -> float:
        """Return the largest value of any neuron at any time."""
        return float(np.max(self.values))


def sine_ranges(dt: float) -> dict[str, Interval]:
    """Return the allowed values of a sine's parameters, by name."""
    return {
        "amplitude": ANY,
        # beyond half a turn in a time step it would be another, slower one
        "frequency": Interval(0.0, 500.0 / dt),
        "phase": ANY,
        "offset": ANY,
    }


@dataclass(frozen=True, eq=False)
class Sine(Description):
    """A sine of time: offset + amplitude · sin(2π · frequency · t + phase).

    Parameters
    ----------
    amplitude : float or array_like (n_targets,)
        In the unit of the quantity.
    frequency : float or array_like (n_targets,), Hz
        From 0 to half the number of time steps in a second.
    phase : float or array_like (n_targets,), degrees
        At time 0.
    offset : float or array_like (n_targets,)
        In the unit of the quantity.

    Notes
    -----
    In each time step it has the value of the step's begin.
    """

    amplitude: PerNeuron
    frequency: PerNeuron
    phase: PerNeuron = 0.0
    offset: PerNeuron = 0.0

    def __post_init__(self) -> None:
        self._fill(
            **{
                name: as_per_neuron(value, where=f"Sine, field {name}")
                for name, value in self.values().items()
            }
        )

    def values(self) -> dict[str, PerNeuron]:
        """Return all parameters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def check(self, size: int, offsets: Interval, dt: float, *, where: str) -> None:
        """Check the parameters for `size` target neurons."""
        allowed = sine_ranges(dt) | {"offset": offsets}
        for name, value in self.values().items():
            _check_per_neuron(value, size, allowed[name], where=f"{where}.{name}")

    def largest(self) -> float:
        """Return the largest value of any neuron at any time."""
        return float(np.max(self.offset + np.abs(self.amplitude)))


# Unit and allowed values of a quantity.
Quantity: TypeAlias = tuple[str, Interval]
WINDOW: Mapping[str, Quantity] = MappingProxyType(
    {"start": ("", NOT_NEGATIVE), "stop": ("", POSITIVE)}
)
RateLike: TypeAlias = ValueLike | Piecewise | Sine


@dataclass(frozen=True, eq=False, init=False)
class Stimulus(Description, ABC):
    """Base class of stimuli.

    Parameters
    ----------
    target : Population, PopulationView or str
        The neurons that receive it.
    name : str, optional
        Name, unique among the network's stimuli.

    Attributes
    ----------
    equations : tuple of str
        Its effect on each target neuron, for its documentation.
    quantities : mapping of str to (str, Interval)
        Units and allowed values of numbers, by the name of their field.
    states : mapping of str to State
        State variables, which a script can read.
    scheme : tuple of str
        Its accuracy, for its documentation.
    peers : mapping of str to str
        Names in other simulators, as of `Model`.
    per_neuron : tuple of str
        Fields that take a number or an array of one per target neuron. Only the range of their
        quantity limits these.
    """

    equations: ClassVar[tuple[str, ...]] = ()
    quantities: ClassVar[Mapping[str, Quantity]] = {}
    states: ClassVar[Mapping[str, State]] = {}
    scheme: ClassVar[tuple[str, ...]] = ()
    peers: ClassVar[Mapping[str, str]] = {}
    per_neuron: ClassVar[tuple[str, ...]] = ()

    target: PopulationView
    name: str | None

    def _begin(self, target: Target, name: str | None) -> None:
        where = type(self).__name__
        if name is not None:
            check_name(name, where=f"{where}, field name")
        self._fill(target=as_view(target, where=f"{where}, field target"), name=name)

    def _place(self, field: str) -> str:
        return f"{type(self).__name__} onto {self.target.population!r}, field {field}"

    @abstractmethod
    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check the stimulus for target neurons of a model.

        Raises
        ------
        DescriptionError
            If it cannot be given as described.
        """

    def with_numbers(self, numbers: Mapping[str, object], *, where: str) -> Self:
        """Return a checked stimulus with other numbers; its other fields were checked before.

        Parameters
        ----------
        numbers : mapping of str to (float or array_like, shape (n_targets,))
            By the name of their field, one of `per_neuron`.
        where : str
            Context for the error.

        Raises
        ------
        DescriptionError
            If it cannot be given with these numbers.
        """
        checked = {}
        for name, number in numbers.items():
            place = f"{where}, field {name}"
            checked[name] = as_per_neuron(number, where=place)
            self._check_number(checked[name], self.quantities[name][1], where=place)
        changed = object.__new__(type(self))
        changed._fill(**vars(self) | checked)
        return changed

    def _check_number(self, number: PerNeuron, allowed: Interval, *, where: str) -> None:
        _check_per_neuron(number, self.target.size, allowed, where=where)

    def _check_per_neuron(self, name: str, *, where: str, allowed: Interval | None = None) -> None:
        value, place = getattr(self, name), f"{where}, field {name}"
        allowed = allowed or self.quantities[name][1]
        self._check_number(value, allowed, where=place)


def check_window(start: float, stop: float, dt: float, *, where: str) -> None:
    """Check that a stimulus starts at a time >= 0, stops later, and both are on the grid."""
    check_range(start, NOT_NEGATIVE, where=f"{where}, field start")
    to_steps(start, dt, where=f"{where}, field start")
    if stop == math.inf:
        return
    check_range(stop, Interval(start, open_low=True), where=f"{where}, field stop")
    to_steps(stop, dt, where=f"{where}, field stop")


@dataclass(frozen=True, eq=False, init=False)
class RateInput(Stimulus):
    """Base class of random spike trains of given rates: `PoissonInput` and `GammaInput`.

    Parameters
    ----------
    target : Population, PopulationView or str
        The neurons that receive it.
    rate : float, array_like (n_targets,), Piecewise or Sine
        Rate, spikes/s. Where a sine is below 0, there are no spikes; its offset is not.
    weight : float
        Weight in the target model's unit.
    receptor : str, optional
        Receptor; None takes the only one, or the one of the weight's sign.
    start, stop : float, ms
        Spikes arrive at times in (start, stop], on the grid; `stop` may be infinite.
    name : str, optional
        Name.
    """

    quantities: ClassVar[Mapping[str, Quantity]] = {"rate": ("spikes/s", NOT_NEGATIVE), **WINDOW}
    per_neuron = ("rate",)

    rate: PerNeuron | Piecewise | Sine
    weight: float
    receptor: str | None
    start: float
    stop: float

    def _begin_rate(
        self,
        target: Target,
        name: str | None,
        rate: RateLike,
        weight: float,
        receptor: str | None,
        start: float,
        stop: float,
    ) -> None:
        self._begin(target, name)
        if not isinstance(rate, Piecewise | Sine):
            rate = as_per_neuron(rate, where=self._place("rate"))
        self._fill(
            rate=rate,
            weight=as_number(weight, where=self._place("weight")),
            receptor=receptor,
            start=as_number(start, where=self._place("start")),
            stop=as_number(stop, where=self._place("stop")),
        )

    @abstractmethod
    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check rate, weight, receptor and window."""
        model.check_receptor(self.receptor, where=where)
        if isinstance(self.rate, Piecewise | Sine):
            allowed = self.quantities["rate"][1]
            self.rate.check(self.target.size, allowed, dt, where=f"{where}, field rate")
        else:
            self._check_per_neuron("rate", where=where)
        model.check_weight(self.receptor, self.weight, where=f"{where}, field weight")
        check_window(self.start, self.stop, dt, where=where)

    @property
    def processes(self) -> int:
        """Number of processes of each neuron, each of which has the rate."""
        return 1

    def max_rate(self) -> float:
        """Return the largest rate of all processes of any neuron at any time, spikes/s."""
        if isinstance(self.rate, Piecewise | Sine):
            return self.processes * self.rate.largest()
        rate = self.rate.max() if isinstance(self.rate, np.ndarray) else self.rate
        return self.processes * float(rate)


@documented
@dataclass(frozen=True, eq=False, init=False)
class PoissonInput(RateInput):
    """Poisson spike trains, one for each target neuron: independent of each other, or correlated.

    Source: Kuhn, Aertsen & Rotter (2003), Neural Computation 15:67 (correlated processes).

    Parameters
    ----------
    target : Population, PopulationView or str
        The neurons that receive it.
    rate : float, array_like (n_targets,), Piecewise or Sine
        Rate, spikes/s. Where a sine is below 0, there are no spikes; its offset is not.
    weight : float
        Weight in the target model's unit.
    receptor : str, optional
        Receptor; None takes the only one, or the one of the weight's sign.
    start, stop : float, ms
        Spikes arrive at times in (start, stop], on the grid; `stop` may be infinite.
    name : str, optional
        Name.
    correlation : float
        Correlation of two neurons' spike counts. Above 0 the rate is common to all target
        neurons: each spike of one Poisson process of rate / correlation is copied to each neuron
        with the probability `correlation`.
    """

    equations = (
        "in every step, for each target neuron:",
        "    n = poisson(rate*dt)",
        "    receptor += weight*n",
        "with a correlation above 0:",
        "    common = poisson(rate*dt/correlation)  # of all target neurons",
        "    n = binomial(common, correlation)",
    )
    quantities: ClassVar[Mapping[str, Quantity]] = {
        **RateInput.quantities,
        "correlation": ("", Interval(0.0, 1.0)),
    }
    scheme = (
        "The distribution of the number of spikes of a neuron in a step is exact to 2^-32.",
        "A rate that is a sine has the value of the step's begin.",
    )
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": "`poisson_generator`; `inhomogeneous_poisson_generator` with a Piecewise rate, "
        "`sinusoidal_poisson_generator` with a Sine, `mip_generator` with a correlation",
        "Brian2": "`PoissonInput`; equations if the rate varies",
    }

    correlation: float = field(default=0.0, kw_only=True, metadata={ADDED: True})

    def __init__(
        self,
        target: Target,
        rate: RateLike,
        weight: float,
        receptor: str | None = None,
        start: float = 0.0,
        stop: float = math.inf,
        name: str | None = None,
        correlation: float = 0.0,
    ) -> None:
        self._begin_rate(target, name, rate, weight, receptor, start, stop)
        self._fill(correlation=as_number(correlation, where=self._place("correlation")))

    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check rate, correlation, weight, receptor and window."""
        super().check(model, dt, where=where)
        check_range(
            self.correlation, self.quantities["correlation"][1], where=f"{where}, field correlation"
        )
        match self.rate:
            case Piecewise(values=values):
                self.check_common(values[0], where=f"{where}, field rate.values")
            case Sine():
                for name, value in self.rate.values().items():
                    self.check_common(value, where=f"{where}, field rate.{name}")

    def _check_number(self, number: PerNeuron, allowed: Interval, *, where: str) -> None:
        super()._check_number(number, allowed, where=where)
        self.check_common(number, where=where)

    def check_common(self, value: PerNeuron, *, where: str) -> None:
        """Check that a value of the rate is common to all neurons where they are correlated."""
        if self.correlation and np.ndim(value):
            raise DescriptionError(
                "an array, but the neurons are correlated",
                where=where,
                allowed="a value common to all target neurons",
            )


@documented
@dataclass(frozen=True, eq=False, init=False)
class GammaInput(RateInput):
    """Superpositions of gamma processes, independent for each target neuron.

    The intervals of a process have a gamma distribution: with a constant rate, their coefficient
    of variation is 1 / sqrt(order). A rate that varies stretches the intervals in time, so that a
    process has its expected number of spikes in any window.

    Source: Cox (1962), Renewal Theory (equilibrium).

    Parameters
    ----------
    target : Population, PopulationView or str
        The neurons that receive it.
    rate : float, array_like (n_targets,), Piecewise or Sine
        Rate of each process, spikes/s. Where a sine is below 0, there are no spikes; its offset is
        not.
    weight : float
        Weight in the target model's unit.
    order : float
        Order (shape) of the gamma distribution; 1 is a Poisson process.
    n : int
        Number of superposed processes of each neuron.
    receptor : str, optional
        Receptor; None takes the only one, or the one of the weight's sign.
    start, stop : float, ms
        Spikes arrive at times in (start, stop], on the grid; `stop` may be infinite.
    name : str, optional
        Name.

    Notes
    -----
    At `start` the processes are in equilibrium: the time to the first spike is that from an
    arbitrary moment on. Each process keeps the time of its next spike,
    which takes 8 bytes of memory. A neuron may receive several spikes in a time step.
    """

    equations = (
        "dclock/dt = rate",
        "each of the n processes, when its next spike <= clock:",
        "    receptor += weight",
        "    next spike += gamma(order)/order  # mean 1",
    )
    quantities: ClassVar[Mapping[str, Quantity]] = {
        **RateInput.quantities,
        # at least 1: the variance of counts is then at most the variance of a Poisson process,
        # which bounds sums
        "order": ("", Interval(1.0, 1e6)),
        "n": ("", Interval(1.0, float(MOST_PROCESSES))),
    }
    states: ClassVar[Mapping[str, State]] = {
        "clock": State("expected spikes", "integral of the rate"),
        "next_spikes": State(
            "expected spikes", "when each process spikes next, on the same clock, ascending"
        ),
    }
    scheme = (
        "The processes are exact; their spikes arrive on the grid.",
        "A rate that is a sine has the value of the step's begin.",
    )
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": "`gamma_sup_generator`; `sinusoidal_gamma_generator` with a Sine",
        "Brian2": "own code",
    }

    order: float
    n: int

    def __init__(
        self,
        target: Target,
        rate: RateLike,
        weight: float,
        order: float,
        n: int = 1,
        receptor: str | None = None,
        start: float = 0.0,
        stop: float = math.inf,
        name: str | None = None,
    ) -> None:
        self._begin_rate(target, name, rate, weight, receptor, start, stop)
        self._fill(
            order=as_number(order, where=self._place("order")),
            n=as_integer(n, where=self._place("n"), low=1, high=MOST_PROCESSES),
        )

    @property
    def processes(self) -> int:  # noqa: D102 (as in the base class)
        return self.n

    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check rate, order, weight, receptor and window."""
        super().check(model, dt, where=where)
        check_range(self.order, self.quantities["order"][1], where=f"{where}, field order")


@documented
@dataclass(frozen=True, eq=False, init=False)
class SpikeInput(Stimulus):
    """Given input spikes.

    Parameters
    ----------
    target : Population, PopulationView or str
        The neurons that may receive them.
    times : array_like, shape (n_events,), ms
        Times of arrival, on the grid.
    neurons : array_like of int, shape (n_events,)
        The neuron (index in the target) that each event reaches.
    weight : float or array_like (n_events,)
        Weight in the target model's unit.
    receptor : str, optional
        Receptor; None takes the only one, or the one of the weight's sign.
    name : str, optional
        Name.

    Notes
    -----
    Events are kept sorted by time, then neuron. Any number may reach a neuron in one step.
    """

    equations = ("at times, to neurons:", "    receptor += weight")
    quantities: ClassVar[Mapping[str, Quantity]] = {"times": ("", POSITIVE)}
    scheme = ("Nothing to integrate: events arrive at their times.",)
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": "`spike_generator`; `pulsepacket_generator` with coding.pulse_packets",
        "Brian2": "`SpikeGeneratorGroup` with `Synapses`",
        "GeNN": "`SpikeSourceArray`",
    }

    times: FloatArray
    neurons: IntArray
    weight: PerNeuron
    receptor: str | None

    def __init__(
        self,
        target: Target,
        times: ValueLike,
        neurons: ValueLike,
        weight: ValueLike,
        receptor: str | None = None,
        name: str | None = None,
    ) -> None:
        self._begin(target, name)
        when = as_floats(times, where=self._place("times"))
        who = as_indices(neurons, where=self._place("neurons"))
        how = as_per_neuron(weight, where=self._place("weight"))
        check_shape(when, who.shape, where=self._place("times"), meaning="one per event")
        if isinstance(how, np.ndarray):
            check_shape(how, who.shape, where=self._place("weight"), meaning="one per event")
        when, who, order = sorted_events(when, who)
        if order is not None and isinstance(how, np.ndarray):
            how = how[order]
            how.setflags(write=False)
        self._fill(times=when, neurons=who, weight=how, receptor=receptor)

    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check times, neurons, weights and receptor."""
        model.check_receptor(self.receptor, where=where)
        check_range(self.times, self.quantities["times"][1], where=f"{where}, field times")
        steps_array(self.times, dt, where=f"{where}, field times")
        check_indices(self.neurons, self.target.size, where=f"{where}, field neurons")
        model.check_weight(self.receptor, self.weight, where=f"{where}, field weight")
