"""Recordings: which spikes, state variables and weights a run keeps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.base import ADDED, Description
from distsnn.network.checks import as_integer, as_number, interval_steps
from distsnn.network.model import Neuron
from distsnn.network.populations import PopulationView, Target, as_view, check_name
from distsnn.network.projections import Projection

Reduction: TypeAlias = Literal["sum", "mean"]


@dataclass(frozen=True, eq=False, init=False)
class RecordSpikes(Description):
    """Record the spikes of some neurons.

    Parameters
    ----------
    target : Population, PopulationView or str
        The neurons.
    """

    target: PopulationView

    def __init__(self, target: Target) -> None:
        self._fill(target=as_view(target, where="RecordSpikes, field target"))


@dataclass(frozen=True, eq=False, init=False)
class RecordState(Description):
    """Record state variables, or what follows from them, of some neurons at regular times.

    They are variables of the neurons' model, or of the synapse model of a projection, whose sources
    the neurons then are: ``RecordState("E->I", ["x", "u"])``.

    Parameters
    ----------
    target : Population, PopulationView, Projection or str
        The neurons. A projection (or its name) stands for all of its sources.
    variables : str or sequence of str
        Names of state variables, and of sub-expressions of the neuron model's equations that depend
        on state variables and parameters only, such as the synaptic current ``"I_syn"``.
    interval : float, optional, ms
        Interval between records, on the grid; dt if left out.
    name : str, optional
        Name of the recording, unique; in a network None becomes the name of the target (and
        projection).
    reduce : "sum" or "mean", optional
        Record the sum or the mean over the neurons, in place of the values of each neuron. Each
        value is rounded to 2**-43 of its unit, so that sums are the same for any number of ranks.
        A value that is not finite, or whose absolute value is above 2**50 / (number of neurons),
        ends the run with an error.
    projection : str or Projection, optional
        The projection whose synapse model has the states, where only some of its sources are
        recorded: ``RecordState(E[:10], "x", projection="E->I")``.

    Notes
    -----
    States of a synapse model at a step contain the effect of all spikes of the source up to this
    step, also of those that have not arrived.
    """

    target: PopulationView
    variables: tuple[str, ...]
    interval: float | None
    name: str | None
    reduce: Reduction | None = field(default=None, metadata={ADDED: True})
    projection: str | None = field(default=None, metadata={ADDED: True})

    def __init__(
        self,
        target: Target | Projection,
        variables: str | Sequence[str],
        interval: float | None = None,
        name: str | None = None,
        reduce: Reduction | None = None,
        projection: str | Projection | None = None,
    ) -> None:
        if isinstance(target, Projection):
            target = _projection_name(target, where="RecordState, field target")
        view = as_view(target, where="RecordState, field target")
        where = f"recording {name or view.population!r}"
        if name is not None:
            check_name(name, where=f"{where}, field name")
        if interval is not None:
            interval = as_number(interval, where=f"{where}, field interval")
        names = _names(variables, where=f"{where}, field variables")
        if reduce is not None and reduce not in get_args(Reduction):
            allowed = get_args(Reduction)
            raise unknown_name_error(
                "reduction", str(reduce), allowed, where=f"{where}, field reduce"
            )
        if projection is not None:
            projection = _projection_name(projection, where=f"{where}, field projection")
        self._fill(
            target=view,
            variables=names,
            interval=interval,
            name=name,
            reduce=reduce,
            projection=projection,
        )

    def interval_steps(self, dt: float) -> int:
        """Return the interval in steps."""
        where = f"recording {self.name or self.target.population!r}, field interval"
        return 1 if self.interval is None else interval_steps(self.interval, dt, where=where)

    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check variables and interval.

        Raises
        ------
        DescriptionError
            If the model has no such variable, a sub-expression does not follow from state
            variables and parameters, or the interval is off the grid.
        """
        where = f"{where}, field variables"
        for name in self.variables:
            model.check_readable(name, where=where)
        _check_distinct(self.variables, where=where)
        self.interval_steps(dt)

    def check_sources(self, projection: Projection, dt: float, *, where: str) -> None:
        """Check a recording of the states of a projection's synapse model.

        Raises
        ------
        DescriptionError
            If the projection has no such states or sources, or the interval is off the grid.
        """
        model = projection.scaling_model
        if model is None or not model.states:
            is_plastic = projection.plasticity_rule is not None
            raise DescriptionError(
                f"sources of projection {projection.name!r} have no states that can be recorded",
                where=f"{where}, field projection",
                allowed="a projection whose `synapse` is a synapse model with states, such as "
                "Tsodyks2",
                hint=f"RecordWeights({projection.name!r}, ...) records weights and states of its "
                f"synapses, and simulation[{projection.name!r}].state reads its traces"
                if is_plastic
                else "",
            )
        _check_names(self.variables, model.states, where=f"{where}, field variables")
        if self.target.n_shared(projection.pre) < self.target.size:
            raise _no_such_neurons(projection, "sources", self.target, projection.pre, where)
        self.interval_steps(dt)


@dataclass(frozen=True, eq=False)
class SynapseRange(Description):
    """Some synapses, by their numbers: `start`, `start` + `step`, ... below `stop`.

    Parameters
    ----------
    start : int
        The first.
    stop : int, optional
        End of the range, exclusive; None: no end.
    step : int
        From one to the next, >= 1.
    """

    start: int = 0
    stop: int | None = None
    step: int = 1

    def __post_init__(self) -> None:
        where = "synapses, field "
        as_integer(self.start, where=f"{where}start")
        as_integer(self.step, where=f"{where}step", low=1)
        if self.stop is not None:
            as_integer(self.stop, where=f"{where}stop", low=self.start + 1)

    @property
    def selects_all(self) -> bool:
        """Whether no synapse is left out."""
        return (self.start, self.stop, self.step) == (0, None, 1)


@dataclass(frozen=True, eq=False, init=False)
class RecordWeights(Description):
    """Record weights of a plastic projection at regular times.

    Synapses are numbered in the order of (source, target); several of a pair are in the order in
    which they were drawn or given. The row of a step contains the weights after all spikes up to
    this step, before a script changes them at this step.

    Parameters
    ----------
    projection : str or Projection
        The projection's name, such as ``"E->E"``, or a projection that was given one.
    interval : float, ms
        Interval between records, on the grid.
    variables : str or sequence of str
        ``"weight"`` and names of states of the synapses, such as the eligibility ``"c"`` of
        `DopamineSTDP`.
    synapses : int or slice, optional
        Recorded synapses: the number of first synapses, or a slice; by default all.
    sources, targets : Population, PopulationView or str, optional
        Only synapses from and onto these neurons are recorded, and counted by `synapses`.
    name : str, optional
        Name of the recording, unique; in a network None becomes the name of the projection.
    """

    projection: str
    interval: float
    variables: tuple[str, ...]
    synapses: SynapseRange
    sources: PopulationView | None
    targets: PopulationView | None
    name: str | None

    def __init__(
        self,
        projection: str | Projection,
        interval: float,
        variables: str | Sequence[str] = "weight",
        synapses: int | slice | SynapseRange | None = None,
        sources: Target | None = None,
        targets: Target | None = None,
        name: str | None = None,
    ) -> None:
        projection_name = _projection_name(projection, where="RecordWeights, field projection")
        where = f"recording {name or projection_name!r}"
        if name is not None:
            check_name(name, where=f"{where}, field name")
        views = [
            None if value is None else as_view(value, where=f"{where}, field {field}")
            for field, value in (("sources", sources), ("targets", targets))
        ]
        self._fill(
            projection=projection_name,
            interval=as_number(interval, where=f"{where}, field interval"),
            variables=_names(variables, where=f"{where}, field variables"),
            synapses=_range(synapses, where=f"{where}, field synapses"),
            sources=views[0],
            targets=views[1],
            name=name,
        )

    def interval_steps(self, dt: float) -> int:
        """Return the interval in steps."""
        return interval_steps(self.interval, dt, where=f"recording {self.name!r}, field interval")

    def check(self, projection: Projection, dt: float, *, where: str) -> None:
        """Check that the projection in a network has the recorded variables.

        Raises
        ------
        DescriptionError
            If it is not plastic, has no such states or neurons, or the interval is off the grid.
        """
        if projection.plasticity_rule is None:
            raise DescriptionError(
                f"projection {projection.name!r} is not plastic",
                where=f"{where}, field projection",
                allowed="a plastic projection",
                hint="set its `synapse` to a plasticity rule, such as STDP()",
            )
        valid_names = ["weight", *projection.plasticity_rule.synapse_states]
        _check_names(self.variables, valid_names, where=f"{where}, field variables")
        for name, view, its in (
            ("sources", self.sources, projection.pre),
            ("targets", self.targets, projection.post),
        ):
            if view is not None and not view.n_shared(its):
                raise _no_such_neurons(projection, name, view, its, where)
        self.interval_steps(dt)


Recording = RecordSpikes | RecordState | RecordWeights


def _projection_name(projection: object, *, where: str) -> str:
    name = projection.name if isinstance(projection, Projection) else projection
    if not isinstance(name, str):
        raise DescriptionError(
            "must be a projection's name",
            where=where,
            value=name,
            allowed="a name, or a Projection that has a name",
            hint="a projection without a name becomes 'pre->post' in the network",
        )
    return name


def _no_such_neurons(
    projection: Projection, end: str, view: PopulationView, its: PopulationView, where: str
) -> DescriptionError:
    return DescriptionError(
        f"projection {projection.name!r} has no such {end}",
        where=f"{where}, field {end}",
        value=f"{view.population}[{view.text}]",
        allowed=f"some of {its.population}[{its.text}]",
    )


def _names(value: str | Sequence[str], *, where: str) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise DescriptionError("must be names of variables", where=where, value=names)
    return tuple(names)


def _check_names(names: tuple[str, ...], valid_names: Iterable[str], *, where: str) -> None:
    valid_names = [*valid_names]
    for name in names:
        if name not in valid_names:
            raise unknown_name_error("state variable", name, valid_names, where=where)
    _check_distinct(names, where=where)


def _check_distinct(names: tuple[str, ...], *, where: str) -> None:
    if not names:
        raise DescriptionError("no variable to record", where=where)
    if len(set(names)) < len(names):
        raise DescriptionError("variable named twice", where=where, value=names)


def _range(value: object, *, where: str) -> SynapseRange:
    if isinstance(value, SynapseRange):
        return value
    if isinstance(value, slice):
        start = 0 if value.start is None else value.start
        return SynapseRange(start, value.stop, 1 if value.step is None else value.step)
    if value is None:
        return SynapseRange()
    return SynapseRange(0, as_integer(value, where=where, low=1))
