"""Recordings: which spikes and state variables a run keeps."""

from collections.abc import Sequence
from dataclasses import dataclass

from distsnn.errors import DescriptionError, unknown
from distsnn.network.base import Description
from distsnn.network.checks import POSITIVE, as_number, check_range
from distsnn.network.model import Neuron
from distsnn.network.populations import Target, View, as_name, as_view
from distsnn.units import steps


@dataclass(frozen=True, eq=False, init=False)
class RecordSpikes(Description):
    """Record the spikes of some neurons.

    Parameters
    ----------
    target : Population, View or str
        The neurons.
    """

    target: View

    def __init__(self, target: Target) -> None:
        self._fill(target=as_view(target, where="RecordSpikes, field target"))


@dataclass(frozen=True, eq=False, init=False)
class RecordState(Description):
    """Record state variables of some neurons at regular times.

    Parameters
    ----------
    target : Population, View or str
        The neurons.
    variables : str or sequence of str
        Names of state variables.
    every : float, optional, ms
        Interval between records, on the grid; dt if left out.
    name : str, optional
        Name of the recording, unique; in a network None becomes that of the target.
    """

    target: View
    variables: tuple[str, ...]
    every: float | None
    name: str | None

    def __init__(
        self,
        target: Target,
        variables: str | Sequence[str],
        every: float | None = None,
        name: str | None = None,
    ) -> None:
        view = as_view(target, where="RecordState, field target")
        where = f"recording {name or view.population!r}"
        if name is not None:
            as_name(name, where=f"{where}, field name")
        if every is not None:
            every = as_number(every, where=f"{where}, field every")
        names = (variables,) if isinstance(variables, str) else variables
        if not isinstance(names, Sequence) or not all(isinstance(one, str) for one in names):
            raise DescriptionError(
                "must be names of state variables", where=f"{where}, field variables", value=names
            )
        self._fill(target=view, variables=tuple(names), every=every, name=name)

    def every_steps(self, dt: float) -> int:
        """Return the interval in steps."""
        where = f"recording {self.name or self.target.population!r}, field every"
        if self.every is None:
            return 1
        check_range(self.every, POSITIVE, where=where)
        return steps(self.every, dt, where=where)

    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check variables and interval.

        Raises
        ------
        DescriptionError
            If the model has no such variable, or the interval is off the grid.
        """
        if not self.variables:
            raise DescriptionError("no variable to record", where=f"{where}, field variables")
        for variable in self.variables:
            if variable not in model.states:
                raise unknown(
                    "state variable", str(variable), model.states, where=f"{where}, field variables"
                )
        if len(set(self.variables)) < len(self.variables):
            raise DescriptionError(
                "variable named twice", where=f"{where}, field variables", value=self.variables
            )
        self.every_steps(dt)


Recording = RecordSpikes | RecordState
