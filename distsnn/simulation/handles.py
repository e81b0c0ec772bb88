"""Handles of a network's parts, by which a script reads and sets them between two runs.

`Simulation.__getitem__` gives them. All ranks use the same handle at the same time: nearly every
method and property is collective. A handle stays valid when its simulation is reset.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, UsageError, unknown_name_error
from distsnn.network import Population, PopulationView, Projection, Stimulus
from distsnn.network.values import ValueLike
from distsnn.simulation.access import Access, PartHandle
from distsnn.simulation.last_spikes import Spikes
from distsnn.simulation.parameter_access import NeuronParameters
from distsnn.simulation.projection_handle import ProjectionHandle
from distsnn.simulation.recording_access import PartRecordings
from distsnn.simulation.state_access import NeuronStates, StimulusStates

Ints = npt.NDArray[np.int64]

_WHERE = "simulation[...]"


class PopulationHandle(PartHandle):
    """Some neurons of a population, such as ``simulation["E"]`` or ``simulation[E[:50]]``.

    Parameters
    ----------
    access : Access
        Objects on which it acts.
    view : PopulationView
        The neurons.

    Examples
    --------
    >>> E = simulation["E"]  # doctest: +SKIP
    >>> E.state["V_m"] = -60.0
    >>> E.parameters["V_th"]  # float64, one value per neuron, in the order of gids
    >>> E.spike_counts().mean()
    """

    def __init__(self, access: Access, view: PopulationView) -> None:
        self._access, self._view = access, view
        self._state: NeuronStates | None = None
        self._parameters: NeuronParameters | None = None

    @property
    def state(self) -> NeuronStates:
        """State variables of the neurons by name, to read and set."""
        if self._state is None:
            self._state = NeuronStates(self._access, self._view)
        return self._state

    @property
    def parameters(self) -> NeuronParameters:
        """Parameters of the neurons by name, to read and set.

        From the next step on, the network runs as if it were described with the new values.
        """
        if self._parameters is None:
            self._parameters = NeuronParameters(self._access, self._view)
        return self._parameters

    @property
    def record(self) -> PartRecordings:
        """Whether the population's recordings are on, by name; may be set, also all at once.

        Names are ``"spikes"``, and the names of the recordings of its states. A recording
        that is off costs nothing. The store contains the steps in which a recording was on
        (`Run.intervals`).

        Raises
        ------
        DescriptionError, UsageError
            If this is the handle of a part of a population; when it is set, if the recording does
            not exist, ranks give different values, or the simulation is closed.

        Examples
        --------
        >>> simulation["E"].record["spikes"] = False  # doctest: +SKIP
        >>> simulation["E"].record = True
        """
        self._check_whole("recordings are switched for their whole population", "record")
        return PartRecordings(self._access.recordings, self._view.population, self._access.scripted)

    @record.setter
    def record(self, on: bool) -> None:
        self.record.switch_all(on)

    def spikes(self) -> Spikes:
        """Return the neurons' spikes in the last run, recorded or not. Collective.

        Returns
        -------
        (ndarray of int32, ndarray of uint32)
            Spike steps and gids of all ranks, in the order of (step, gid).

        Raises
        ------
        DescriptionError, UsageError
            If ranks ask for different neurons, or the spikes are not kept: above 4 million of a
            rank in one run, or before a checkpoint that was restored.
        """
        return self._access.last.read(self._view)

    def spike_counts(self) -> Ints:
        """Return how often each neuron spiked in the last run, in the order of gids. Collective.

        Raises
        ------
        UsageError
            As `spikes` does.
        """
        return self._access.last.counts(self._view)

    def emit(self, neurons: ValueLike, times: ValueLike | None = None) -> None:
        """Add spikes to those described of a `SpikeSource`. Collective.

        The values of rank 0 count; values of other ranks are ignored.

        Parameters
        ----------
        neurons : int or array_like of int, shape (n_spikes,)
            The neuron (index in the population) of each spike.
        times : float or array_like (n_spikes,), optional
            Times of the spikes, ms, on the grid and later than now; by default the next step.

        Raises
        ------
        DescriptionError, UsageError
            On rank 0, if the population is not a `SpikeSource`, a neuron does not exist, a time is
            past or off the grid, or a neuron would spike twice in a step; on all ranks, if this is
            the handle of a part of a population.
        RankError
            On the other ranks.

        Examples
        --------
        >>> simulation["sensors"].emit([3, 3], [10.2, 10.9])  # doctest: +SKIP
        """
        self._check_whole("neurons are counted in their whole population", "emit", "(...)")
        self._access.inputs.emit(self._view.population, neurons, times, None)

    def _check_whole(self, problem: str, member: str, call: str = "") -> None:
        """Raise UsageError if this is a part of a population."""
        network = self._access.engine.layout.network
        if self._view.size < network.population(self._view.population).size:
            raise UsageError(
                problem,
                where=f"{member}, {network.view_label(self._view)}",
                hint=f"use simulation[{self._view.population!r}].{member}{call}",
            )


class StimulusParameters(Mapping[str, Any]):
    """Values of a stimulus by name, to read and set (see `StimulusHandle.set`)."""

    def __init__(self, access: Access, name: str) -> None:
        self._access, self._name = access, name

    def _values(self) -> dict[str, Any]:
        return self._access.inputs.values(self._name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __getitem__(self, name: str) -> Any:
        """Return a value as it is now: a number, an array, a course of time, a name or None.

        Raises
        ------
        DescriptionError
            If the stimulus has no such value.
        """
        values = self._values()
        if not isinstance(name, str) or name not in values:
            raise unknown_name_error("field", str(name), values, where=f"stimulus {self._name!r}")
        return values[name]

    def __setitem__(self, name: str, value: object) -> None:
        """Set a value as `StimulusHandle.set` does. Collective."""
        self._access.inputs.set(self._name, {name: value})


class StimulusHandle(PartHandle):
    """A named stimulus, such as ``simulation["drive"]``.

    Parameters
    ----------
    access : Access
        Objects on which it acts.
    name : str
        The stimulus's name.

    Examples
    --------
    >>> simulation["drive"].parameters["rate"] = 8000.0  # doctest: +SKIP
    >>> simulation["noise"].set(mean=200.0, sd=50.0)
    """

    def __init__(self, access: Access, name: str) -> None:
        self._access, self._name = access, name

    @property
    def parameters(self) -> StimulusParameters:
        """Values of the stimulus by name, to read and set."""
        return StimulusParameters(self._access, self._name)

    @property
    def state(self) -> StimulusStates:
        """State variables of the stimulus by name, to read; only a `GammaInput` has some.

        ``clock`` is the number of spikes that a process was expected to have up to now, and
        ``next_spikes`` contains the values of the clock at which the neuron's processes spike
        next, ascending. Other stimuli are functions of the step and have no state.
        """
        return StimulusStates(self._access, self._name)

    def set(self, **values: object) -> None:
        """Set one or several values at once, from the next step on. Collective.

        The network then runs as if the stimulus had been described with these values. The values of
        rank 0 count; values of other ranks are ignored.

        Parameters
        ----------
        **values : object
            Arguments of the stimulus's class, as in a description, but `target`, `name` and `n`:
            for example ``rate=`` and ``weight=`` of a `PoissonInput`, ``amplitude=`` of a current,
            ``times=``, ``neurons=`` and ``weight=`` of a `SpikeInput`. If the rate is a `Sine`,
            also ``amplitude=``, ``frequency=``, ``phase=`` and ``offset=`` of the sine.

        Raises
        ------
        DescriptionError
            On rank 0, if the stimulus has no such value or cannot be described with it, if a spike,
            a start or a stop would be before now, if a weight does not fit the weight quantum of
            its receptor, or if the input of a step could overflow.
        RankError
            On the others.

        Notes
        -----
        Random numbers belong to the stimulus and the step: they are those of a run described with
        these values. Those of a `NoiseCurrent` belong to the number of the interval since `start`.
        Processes of a `GammaInput` keep their next spikes; later intervals have the new `order`.
        Spikes that `emit` has added to a `SpikeInput` stay, with their weights.

        Examples
        --------
        >>> simulation["drive"].set(rate=8000.0, weight=40.0)  # doctest: +SKIP
        >>> simulation["volley"].set(times=[120.0, 125.0], neurons=[3, 4])
        """
        self._access.inputs.set(self._name, values)

    def emit(
        self, neurons: ValueLike, times: ValueLike | None = None, weights: ValueLike | None = None
    ) -> None:
        """Add spikes to those described of a `SpikeInput`. Collective.

        The values of rank 0 count; values of other ranks are ignored.

        Parameters
        ----------
        neurons : int or array_like of int, shape (n_spikes,)
            The target neuron (index in the target) of each spike.
        times : float or array_like (n_spikes,), optional
            Times of the spikes, ms, on the grid and later than now; by default the next step.
        weights : float or array_like (n_spikes,), optional
            Weights of the spikes; by default the weight that all described spikes share.

        Raises
        ------
        DescriptionError
            On rank 0, if the stimulus is not a `SpikeInput`, a neuron does not exist, a time is
            past or off the grid, or weights are missing or too large for the input sums of a step.
        RankError
            On the other ranks.
        """
        self._access.inputs.emit(self._name, neurons, times, weights)


Handle = PopulationHandle | ProjectionHandle | StimulusHandle


def handle(access: Access, key: object) -> Handle:
    """Return the handle of a part of the network, the same one each time; not collective.

    Parameters
    ----------
    access : Access
        Objects on which it acts.
    key : str, Population, PopulationView, Projection or Stimulus
        The part, or its name; a stimulus must have a name.

    Raises
    ------
    DescriptionError
        If the network does not have this part.
    """
    network = access.engine.layout.network
    handles: dict[str | PopulationView, Handle] = access.handles
    if not handles:
        # a name belongs to one part
        handles |= {
            population.name: PopulationHandle(access, network.resolve_view(population.name))
            for population in network.populations
        }
        for projection in network.projections:
            handles[str(projection.name)] = ProjectionHandle(access, str(projection.name))
        for stimulus in network.stimuli:
            if stimulus.name is not None:
                handles[stimulus.name] = StimulusHandle(access, stimulus.name)
    if isinstance(key, Population | PopulationView):
        view = network.resolve_view(key, where=_WHERE)
        if view.size == network.population(view.population).size:
            return handles[view.population]
        return handles.setdefault(view, PopulationHandle(access, view))
    if isinstance(key, Stimulus) and key.name is None:
        raise DescriptionError(
            "the stimulus has no name", where=_WHERE, value=key, hint="describe it with `name`"
        )
    name = network.name_of(key, where=_WHERE) if isinstance(key, Projection) else key
    name = name.name if isinstance(name, Stimulus) else name
    if not isinstance(name, str):
        is_several = isinstance(name, tuple | list)
        raise DescriptionError(
            "must be one part of the network" if is_several else "must be a part of the network",
            where=_WHERE,
            value=None if is_several else name,
            allowed="a name, a Population, a PopulationView, a Projection or a Stimulus",
            hint="index each part by itself: simulation[E], simulation[I]" if is_several else "",
        )
    if name not in handles:
        names = [handle for handle in handles if isinstance(handle, str)]
        raise unknown_name_error("part of the network", name, names, where=_WHERE)
    return handles[name]
