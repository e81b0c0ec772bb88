"""The network description, validated as a whole when it is created."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import currents, distributions, edges, rules, stimuli
from distsnn.network.base import Description
from distsnn.network.checks import POSITIVE, as_number, check_range
from distsnn.network.equations.neuron_model import NeuronModel
from distsnn.network.equations.plasticity_model import PlasticityModel
from distsnn.network.equations.transmission_model import TransmissionModel
from distsnn.network.homeostasis import Homeostasis, NormaliseWeights, SynapticScaling
from distsnn.network.plastic_synapse import ModulatedSynapse
from distsnn.network.populations import (
    MAX_NEURONS,
    TO_END,
    Population,
    PopulationView,
    Target,
    as_view,
)
from distsnn.network.projections import Projection
from distsnn.network.recordings import (
    Recording,
    RecordSpikes,
    RecordState,
    RecordWeights,
    SynapseRange,
)
from distsnn.network.serialise import Arrays, decode, encode
from distsnn.network.stimuli import Stimulus
from distsnn.public_api import public_function
from distsnn.units import format_count

FORMAT = 2


@dataclass(frozen=True, eq=False, init=False)
class Network(Description):
    """A network: populations, projections, stimuli and recordings.

    Parameters
    ----------
    populations : iterable of Population
        Populations; neurons get their gids from 0 in this order.
    projections : iterable of Projection
        Projections.
    stimuli : iterable of Stimulus
        Stimuli.
    recordings : iterable of RecordSpikes, RecordState or RecordWeights, optional
        Recordings; None means the spikes of all populations.
    dt : float
        Step, ms.
    homeostasis : iterable of Homeostasis
        What scales weights at regular times.

    Raises
    ------
    DescriptionError
        If it cannot be simulated as described; the error names the place.

    Notes
    -----
    In a network all targets are views with `stop` filled in, and projections and recordings of
    states and weights have names.
    """

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    stimuli: tuple[Stimulus, ...]
    recordings: tuple[Recording, ...]
    dt: float
    homeostasis: tuple[Homeostasis, ...]

    @public_function
    def __init__(
        self,
        populations: Iterable[Population],
        projections: Iterable[Projection] = (),
        stimuli: Iterable[Stimulus] = (),
        recordings: Iterable[Recording] | None = None,
        dt: float = 0.1,
        homeostasis: Iterable[Homeostasis] = (),
    ) -> None:
        dt = as_number(dt, where="network, field dt")
        check_range(dt, POSITIVE, where="network, field dt")
        checked = _items(populations, Population, "populations")
        self._fill(dt=dt, populations=checked)
        self._check_populations()
        if recordings is None:
            recordings = [RecordSpikes(population) for population in checked]
        self._fill(projections=self._projections(_items(projections, Projection, "projections")))
        self._fill(stimuli=self._stimuli(_items(stimuli, Stimulus, "stimuli")))
        self._check_names()
        self._fill(recordings=self._recordings(_items(recordings, Recording, "recordings")))
        self._fill(homeostasis=self._homeostasis(_items(homeostasis, Homeostasis, "homeostasis")))

    def _check_names(self) -> None:
        """Check that a name belongs to one part: a simulation finds its parts by their names."""
        kinds = {population.name: "population" for population in self.populations}
        parts = [(str(projection.name), "projection") for projection in self.projections]
        parts += [
            (stimulus.name, "stimulus") for stimulus in self.stimuli if stimulus.name is not None
        ]
        for name, kind in parts:
            if kinds.setdefault(name, kind) != kind:
                raise DescriptionError(
                    f"is the name of a {kinds[name]} and of a {kind}",
                    where="network",
                    value=name,
                    allowed="a name that one part has",
                )

    def _check_populations(self) -> None:
        if not self.populations:
            raise DescriptionError("no population", where="network, field populations")
        _unique([population.name for population in self.populations], "population")
        if self.n_neurons > MAX_NEURONS:
            raise DescriptionError(
                "too many neurons", where="network", value=self.n_neurons, allowed="at most 2^31"
            )
        for population in self.populations:
            population.model.check_grid(self.dt, where=f"population {population.name!r}")

    def _projections(self, projections: tuple[Projection, ...]) -> tuple[Projection, ...]:
        _unique(
            [projection.name for projection in projections if projection.name is not None],
            "projection",
        )
        names = {projection.name for projection in projections}
        named = []
        for projection in projections:
            ends = f"{projection.pre.population}->{projection.post.population}"
            where = f"projection {projection.name or ends!r}"
            pre = self.resolve_view(projection.pre, where=f"{where}, field pre")
            source = self.population(pre.population)
            if not source.model.can_spike:
                raise DescriptionError(
                    f"population {source.name!r} never spikes: its model is {source.model.name}",
                    where=f"{where}, field pre",
                    allowed="a population of neurons that spike",
                )
            post = self.resolve_view(projection.post, where=f"{where}, field post")
            name = projection.name or _unused_name(
                f"{self.view_label(pre)}->{self.view_label(post)}", names
            )
            names.add(name)
            named.append(replace(projection, pre=pre, post=post, name=name))
            model = self.population(post.population).model
            named[-1].check(model, self.dt, where=f"projection {name!r}")
            if isinstance(projection.synapse, ModulatedSynapse) and projection.synapse.modulator:
                place = f"projection {name!r}, field synapse.modulator"
                self.population(projection.synapse.modulator, where=place)
        return tuple(named)

    def _stimuli(self, stimuli: tuple[Stimulus, ...]) -> tuple[Stimulus, ...]:
        _unique([stimulus.name for stimulus in stimuli if stimulus.name is not None], "stimulus")
        named = []
        for index, stimulus in enumerate(stimuli):
            where = f"stimulus {stimulus.name!r}" if stimulus.name else f"stimulus {index}"
            where += f" ({type(stimulus).__name__} onto {stimulus.target.population!r})"
            target = self.resolve_view(stimulus.target, where=f"{where}, field target")
            named.append(replace(stimulus, target=target))
            named[-1].check(self.population(target.population).model, self.dt, where=where)
        return tuple(named)

    def _recordings(self, recordings: tuple[Recording, ...]) -> tuple[Recording, ...]:
        named: list[Recording] = []
        for recording in recordings:
            if isinstance(recording, RecordWeights):
                named.append(self._weights(recording))
                continue
            if isinstance(recording, RecordState):
                named.append(self._states(recording))
                continue
            where = f"RecordSpikes of {recording.target.population!r}, field target"
            named.append(RecordSpikes(self.resolve_view(recording.target, where=where)))
        _unique(
            [recording.name for recording in named if isinstance(recording, RecordState)],
            "state recording",
        )
        _unique(
            [recording.name for recording in named if isinstance(recording, RecordWeights)],
            "weight recording",
        )
        for recording in named:
            if isinstance(recording, RecordState) and recording.name == "spikes":
                raise DescriptionError(
                    "the name belongs to recordings of spikes",
                    where=f"recording of states of {recording.target.population!r}, field name",
                    value=recording.name,
                    allowed="any other name",
                )
        spikes = [recording.target for recording in named if isinstance(recording, RecordSpikes)]
        spikes.sort(key=lambda view: self.first_gid[view.population] + view.start)
        # ranges in their order need only be compared with the next one
        listed = any(view.neurons is not None for view in spikes)
        for left, right in combinations(spikes, 2) if listed else pairwise(spikes):
            if left.n_shared(right):
                raise DescriptionError(
                    "spikes of some neurons are recorded twice",
                    where=f"RecordSpikes of {right.population!r}, field target",
                    value=self.view_label(right),
                    allowed=f"no overlap with {self.view_label(left)}",
                )
        return tuple(named)

    def _homeostasis(self, rules: tuple[Homeostasis, ...]) -> tuple[Homeostasis, ...]:
        named = tuple(rule.with_name() for rule in rules)
        _unique([rule.name for rule in named], "homeostasis")
        by_name = {str(rule.name): rule for rule in self.projections}
        for rule in named:
            rule.check(by_name, self.dt)
        return named

    def _states(self, recording: RecordState) -> RecordState:
        target, name = recording.target, recording.projection
        where = f"RecordState of {target.population!r}, field target"
        by_name = {str(projection.name): projection for projection in self.projections}
        if (
            name is None
            and target.population in by_name
            and target == PopulationView(target.population)
        ):
            name = target.population  # of a projection, which stands for all of its sources
            target, default_name = by_name[name].pre, name
        else:
            self._check_has_states(target.population, by_name, where)
            target = self.resolve_view(target, where=where)
            default_name = self._path_name(target) + ("" if name is None else f" of {name}")
        named = replace(
            recording, target=target, name=recording.name or default_name, projection=name
        )
        where = f"recording {named.name!r}"
        if name is None:
            named.check(self.population(target.population).model, self.dt, where=where)
        else:
            projection = self.projection(name, where=f"{where}, field projection")
            named.check_sources(projection, self.dt, where=where)
        return named

    def _check_has_states(
        self, name: str, projections: Mapping[str, Projection], where: str
    ) -> None:
        """Check that a name is that of a population, some of whose states are to be recorded."""
        if name in {stimulus.name for stimulus in self.stimuli}:
            raise DescriptionError(
                f"{name!r} is a stimulus, whose states cannot be recorded",
                where=where,
                allowed="a population, or a projection with a synapse model",
                hint=f"read simulation[{name!r}].state between two run calls",
            )
        if name in self._by_name:
            return
        if name not in projections:
            names = [*self._by_name, *projections]
            raise unknown_name_error("population or projection", name, names, where=where)
        raise DescriptionError(
            f"{name!r} is a projection, not a population",
            where=where,
            allowed=f"its sources, population {projections[name].pre.population!r}",
            hint=f"RecordState({name!r}, ...) without `projection` records all of them",
        )

    def _weights(self, recording: RecordWeights) -> RecordWeights:
        named = replace(recording, name=recording.name or recording.projection)
        where = f"recording {named.name!r}"
        projection = self.projection(named.projection, where=f"{where}, field projection")
        views = [
            None if view is None else self.resolve_view(view, where=f"{where}, field {field}")
            for field, view in (("sources", named.sources), ("targets", named.targets))
        ]
        named = replace(named, sources=views[0], targets=views[1])
        named.check(projection, self.dt, where=where)
        return named

    @cached_property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return sum(population.size for population in self.populations)

    @cached_property
    def first_gid(self) -> dict[str, int]:
        """First gid of each population, by name, in order of creation."""
        first, first_gids = 0, {}
        for population in self.populations:
            first_gids[population.name] = first
            first += population.size
        return first_gids

    @cached_property
    def _by_name(self) -> dict[str, Population]:
        return {population.name: population for population in self.populations}

    def population(self, name: str, *, where: str = "") -> Population:
        """Return the population of a name.

        Raises
        ------
        DescriptionError
            If it does not exist; the message names the closest one.
        """
        if name not in self._by_name:
            raise unknown_name_error("population", name, self._by_name, where=where)
        return self._by_name[name]

    def projection(self, name: str, *, where: str = "") -> Projection:
        """Return the projection of a name.

        Raises
        ------
        DescriptionError
            If it does not exist; the message names the closest one.
        """
        for projection in self.projections:
            if projection.name == name:
                return projection
        raise unknown_name_error(
            "projection",
            name,
            [str(projection.name) for projection in self.projections],
            where=where,
        )

    def name_of(self, projection: str | Projection, *, where: str = "") -> str:
        """Return the name of a projection, which may be described without a name.

        Raises
        ------
        DescriptionError
            If it has no name, and not exactly one projection connects its neurons.
        """
        if not isinstance(projection, Projection):
            return projection
        if projection.name is not None:
            return projection.name
        views = tuple(
            self.resolve_view(end, where=where) for end in (projection.pre, projection.post)
        )
        names = [str(each.name) for each in self.projections if (each.pre, each.post) == views]
        if len(names) != 1:
            pre, post = map(self.view_label, views)
            raise DescriptionError(
                f"{len(names)} projections connect these neurons",
                where=where,
                value=f"{pre}->{post}",
                allowed="the projection's name",
            )
        return names[0]

    def resolve_view(self, target: Target, *, where: str = "") -> PopulationView:
        """Return the view of a target within this network.

        Raises
        ------
        DescriptionError
            If the population is unknown or has fewer neurons.
        """
        view = as_view(target, where=where)
        size = self.population(view.population, where=where).size
        if view.stop == TO_END:
            view = PopulationView(view.population, view.start, size)
        if view.stop > size:
            raise DescriptionError(
                f"population {view.population!r} has {format_count(size, 'neuron')}",
                where=where,
                value=view.text,
                allowed=f"0:{size}",
            )
        return view

    def gids(
        self, view: PopulationView, positions: npt.NDArray[np.integer] | None = None
    ) -> npt.NDArray[np.int64]:
        """Return the gids of the neurons at some indices in a view, by default of all."""
        positions = np.arange(view.size) if positions is None else positions
        return self.first_gid[view.population] + view.neurons_at(positions)

    def positions(
        self, view: PopulationView, gids: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.int64]:
        """Return the index in a view of each of some neurons, given by gids; -1: not in it."""
        return view.positions(gids.astype(np.int64) - self.first_gid[view.population])

    def view_label(self, view: PopulationView) -> str:
        """Return a view's short name: ``E`` for all of E, else such as ``E[0:50]``."""
        is_whole = view.size == self.population(view.population).size
        return view.population if is_whole else f"{view.population}[{view.text}]"

    def _path_name(self, view: PopulationView) -> str:
        is_whole = view.size == self.population(view.population).size
        return view.population if is_whole else view.path_name

    def expected_synapses(self) -> float:
        """Return the expected number of synapses, from the rules' closed forms."""
        return sum(
            projection.rule.expected_synapses(
                projection.pre.size, projection.post.size, projection.is_recurrent
            )
            for projection in self.projections
        )

    def to_dict(self, *, fingerprints: bool = True) -> tuple[dict[str, Any], Arrays]:
        """Return the description as JSON-able data and named arrays.

        Parameters
        ----------
        fingerprints : bool
            Whether size and hash of edge files are filled in, for which they are read whole.

        Raises
        ------
        DescriptionError
            If a class of the user's has the name of another, by which it is stored.
        """
        arrays: Arrays = {}
        network = encode(self, "", arrays, stored_classes(), fingerprints)
        return {"format": FORMAT, "network": network}, arrays

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> "Network":
        """Return the network that `to_dict` was called on.

        Raises
        ------
        DescriptionError
            If the data was written by a newer version or is not valid.
        """
        if data.get("format") != FORMAT:
            raise DescriptionError(
                "unknown format of a stored network", value=data.get("format"), allowed=str(FORMAT)
            )
        network = decode(data.get("network"), arrays, stored_classes())
        if not isinstance(network, cls):
            raise DescriptionError("not a stored network", value=type(network).__name__)
        return network

    def equal(self, other: "Network") -> bool:
        """Return whether two networks are the same, arrays element by element."""
        return self == other


def _items(value: Any, item_type: Any, field: str) -> tuple[Any, ...]:
    where = f"network, field {field}"
    if isinstance(value, Description | str) or not isinstance(value, Iterable):
        raise DescriptionError("must be a list", where=where, value=value)
    items = tuple(value)
    for index, item in enumerate(items):
        if not isinstance(item, item_type):
            raise DescriptionError(
                f"does not belong among {field}", where=f"{where}[{index}]", value=item
            )
    return items


def _unique(names: list[str | None], kind: str) -> None:
    names_so_far: set[str | None] = set()
    for name in names:
        if name in names_so_far:
            raise DescriptionError(f"duplicate name of a {kind}", where="network", value=name)
        names_so_far.add(name)


def _unused_name(name: str, used: set[str | None]) -> str:
    if name not in used:
        return name
    number = 2
    while f"{name}#{number}" in used:
        number += 1
    return f"{name}#{number}"


_CLASSES: dict[str, type[Description]] = {
    name: cls
    for module in (currents, distributions, edges, rules, stimuli)
    for name, cls in vars(module).items()
    if isinstance(cls, type) and issubclass(cls, Description) and cls.__module__ == module.__name__
} | {
    cls.__name__: cls
    for cls in (
        *(Network, NeuronModel, PlasticityModel, Population, PopulationView),
        *(Projection, RecordSpikes, RecordState, RecordWeights, SynapseRange),
        *(NormaliseWeights, SynapticScaling, TransmissionModel),
    )
}


def stored_classes() -> dict[str, type[Description]]:
    """Return the classes of descriptions but models by name, with users' subclasses of these."""
    derived = {cls.__name__: cls for base in _CLASSES.values() for cls in _derived(base)}
    return derived | _CLASSES


def _derived(base: type[Description]) -> Iterator[type[Description]]:
    for subclass in base.__subclasses__():
        yield subclass
        yield from _derived(subclass)
