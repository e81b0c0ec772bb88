"""Base class of plastic synapse models: bounds and sign of weights, delays, precision."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.base import ADDED
from distsnn.network.checks import NOT_NEGATIVE, Interval, as_number, check_range
from distsnn.network.distributions import Distribution
from distsnn.network.model import State, SynapseModel, kernel_module_of
from distsnn.network.values import Value, as_value, value_bounds
from distsnn.network.weight_bounds import (
    check_bounds,
    check_within,
    magnitudes,
    sign_of,
    signed_range,
)
from distsnn.units import to_steps

AUTO = "auto"
PRECISIONS = (AUTO, "float32", "float64")
# Least typical step of learning that float32 resolves well enough, in distances between its
# numbers at the bound of the weights: rounding then changes learnt weights by less than 0.6 %.
LEAST_STEP = 64.0
# Share of small draws of a parameter that a choice for all synapses may leave out.
_FEW = 0.05


@dataclass(frozen=True, eq=False)
class PlasticSynapse(SynapseModel):
    """Base class of models of synapses whose weights change with spikes of source and target.

    A synapse's delay d has an axonal part, the same for all of a projection, and a dendritic one,
    d - axonal_delay, of at least dt. A source's spike at step s reaches the synapse at
    s + axonal_delay, a target's at s + the dendritic delay. Where both come at the same time the
    target's is first, and the two do not see each other. The weight after the source's spike acts
    on the target at s + d.

    A model is a class decorated with `synapse_model`; its kernel module defines the effect of
    spikes (see `distsnn.kernels.plasticity`). Weights are stored as magnitudes.

    Parameters
    ----------
    w_max : float, array_like or Distribution, unit of the weights
        Bound of the weights. It has the sign of all weights; it may be infinite.
    w_min : float, array_like or Distribution, unit of the weights
        The other bound, nearer to 0, of the same sign or 0. By keyword only.
    axonal_delay : float, ms, >= 0
        Axonal part of the delays, at least dt below the shortest of them.
    precision : {"auto", "float32", "float64"}
        Type of weights, states and traces. With "auto" float32, unless learning steps are so
        small that rounding would change learnt weights (see `weight_type`).

    Attributes
    ----------
    per_synapse : tuple of str
        Parameters that may differ from synapse to synapse: drawn, or in an array in
        the form of weights. A number takes no memory.
    weight_unit : str
        Unit of the weights; empty: the unit of the target's input.
    kernel : str
        Import name of the kernel module; empty: ``distsnn.kernels.plasticity.<name>``.
    """

    parameter_scope: ClassVar[str] = "synapse"
    per_synapse: ClassVar[tuple[str, ...]] = ("w_max", "w_min")
    weight_unit: ClassVar[str] = ""
    kernel: ClassVar[str] = ""

    w_max: Value = 100.0
    axonal_delay: float = 0.0
    precision: str = AUTO
    w_min: Value = field(default=0.0, kw_only=True, metadata={ADDED: True})

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"{self.name}, field "
        self._fill(
            w_max=as_value(self.w_max, where=where + "w_max"),
            w_min=as_value(self.w_min, where=where + "w_min"),
            axonal_delay=as_number(self.axonal_delay, where=where + "axonal_delay"),
        )
        check_bounds(self.w_min, self.w_max, where=where)
        check_range(self.axonal_delay, NOT_NEGATIVE, where=where + "axonal_delay")
        self.check_choice("precision", PRECISIONS)

    def check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        """Raise DescriptionError unless a field has one of the values that it may have."""
        value = getattr(self, name)
        if value not in choices:
            raise unknown_name_error(name, str(value), choices, where=f"{self.name}, field {name}")

    @property
    def kernel_module(self) -> str:
        """Import name of the kernel module."""
        return self.kernel or kernel_module_of("plasticity", self.name)

    @property
    def synapse_states(self) -> Mapping[str, State]:
        """States of each synapse besides its weight, as named in the rule's kernel."""
        return self.states

    @property
    def sign(self) -> int:
        """Sign of the weights."""
        return sign_of(self.w_max)

    @property
    def max_magnitude(self) -> float:
        """The largest magnitude of the bound of any synapse, which may be infinite."""
        return magnitudes(self.w_max)[1]

    @property
    def min_magnitude(self) -> float:
        """The smallest magnitude of the lower bound of any synapse."""
        return magnitudes(self.w_min)[0]

    def steps(self, weight: float) -> Iterable[float]:
        """Return typical changes of a weight (a magnitude) by events of each kind.

        Steps of single pairings, with traces of 1. A step of 0 or a step that is not finite is
        unknown.
        """
        return ()

    def least_step(self, scale: float) -> float:
        """Return the smallest typical change of weights up to a magnitude; NaN if unknown."""
        steps = self.steps(0.5 * (self.min_magnitude + scale))
        return min((abs(step) for step in steps if step and math.isfinite(step)), default=math.nan)

    def weight_type(self, weight: Value | None) -> str:
        """Return the type in which weights, states and traces are kept.

        Parameters
        ----------
        weight : float, ndarray, Distribution or None
            Initial weights, which count where the weights have no bound; None if they are not
            known.

        Notes
        -----
        A step of learning that is below half of the distance between two numbers of float32 is
        lost. With "auto" weights are float32 where the smallest typical step is at least
        `LEAST_STEP` of these distances at the bound, or float64.
        """
        if self.precision != AUTO:
            return self.precision
        scale = self.max_magnitude
        if math.isinf(scale) and weight is not None:
            scale = max(map(abs, value_bounds(weight, _FEW)))
        if scale == 0.0:  # how far the weights will grow is unknown
            return "float64"
        # a comparison with NaN is false
        resolved = self.least_step(scale) >= LEAST_STEP * float(np.spacing(np.float32(scale)))
        return "float32" if resolved else "float64"

    @property
    def weight_range(self) -> Interval:
        """Range of weights that all synapses may have."""
        return signed_range(self.sign, magnitudes(self.w_min)[1], magnitudes(self.w_max)[0])

    def check_each(self, shape: tuple[int, ...] | None, *, where: str) -> None:
        """Check shapes and ranges of all parameters.

        Parameters
        ----------
        shape : tuple of int or None
            Shape of arrays for all synapses; None: the projection's rule takes no arrays.
        where : str
            The place named in an error.

        Raises
        ------
        DescriptionError
            For the first parameter that cannot be simulated.
        """
        for name in (*self.parameters(), "w_max", "w_min"):
            value, place = getattr(self, name), f"{where}, field {name}"
            if not isinstance(value, float) and name not in self.per_synapse:
                raise DescriptionError(
                    "must be one number for all synapses", where=place, value=value
                )
        self._check_parameters(shape, where=where)
        for name in ("w_max", "w_min"):
            self._check_array(name, shape, where=f"{where}, field {name}")

    def check_synapses(
        self, weight: Value | None, shortest: int | None, dt: float, *, where: str
    ) -> None:
        """Check what a projection's synapses must keep to.

        Parameters
        ----------
        weight : float, ndarray, Distribution or None
            Their weights; None where they are not known yet.
        shortest : int or None
            Their shortest delay, steps.
        dt : float
            Step, ms.
        where : str
            The projection.

        Raises
        ------
        DescriptionError
            If weights are beyond their bound or have the other sign, or the axonal delay is off
            the grid or not shorter than all delays.
        """
        if weight is not None:
            check_within(weight, self.w_min, self.w_max, where=f"{where}, field weight")
        axonal = self.axonal_steps(dt, where=where)
        if shortest is not None and axonal >= shortest:
            raise DescriptionError(
                "must be shorter than all delays",
                where=f"{where}, field synapse.axonal_delay",
                value=self.axonal_delay,
                allowed=f"0 to {(shortest - 1) * dt:g} ms",
            )

    def axonal_steps(self, dt: float, *, where: str = "") -> int:
        """Return the axonal delay in steps."""
        return to_steps(self.axonal_delay, dt, where=f"{where}, field synapse.axonal_delay")


@dataclass(frozen=True, eq=False)
class StateDrivenSynapse(PlasticSynapse):
    """Base class of models in which states of the target act in every step, and not its spikes.

    Attributes
    ----------
    observed_states : tuple of str
        States that the target must have.
    delayed_states : str
        Parameter with the delay of some of them, ms; empty: no state is delayed.
    """

    observed_states: ClassVar[tuple[str, ...]] = ()
    delayed_states: ClassVar[str] = ""

    def check_target(self, states: Mapping[str, State], target: str, *, where: str) -> None:
        """Check that a target of a model with some states has those that are watched.

        Raises
        ------
        DescriptionError
            If it has not.
        """
        for name in self.observed_states:
            if name not in states:
                raise DescriptionError(
                    f"{self.name} follows the state {name} of its target, which {target} has not",
                    where=where,
                    allowed=f"a neuron with the states {', '.join(self.observed_states)}",
                )

    def check_synapses(  # noqa: D102 (inherited)
        self, weight: Value | None, shortest: int | None, dt: float, *, where: str
    ) -> None:
        super().check_synapses(weight, shortest, dt, where=where)
        self.late_steps(dt, where=where)

    def late_steps(self, dt: float, *, where: str = "") -> int:
        """Return by how many steps some states are late."""
        if not self.delayed_states:
            return 0
        return to_steps(
            getattr(self, self.delayed_states),
            dt,
            where=f"{where}, field synapse.{self.delayed_states}",
        )


@dataclass(frozen=True, eq=False)
class ModulatedSynapse(PlasticSynapse):
    """Base class of models in which a third factor, the same for all synapses, acts on weights.

    It is a signal that is set between runs, or follows the spikes of a population.

    Parameters
    ----------
    modulator : str
        Population whose spikes modulate; empty: the signal of the projection's name does.
    modulation_delay : float
        Time from these spikes to the synapses, ms, at least dt. Ranks exchange spikes at least as
        often.
    """

    modulator: str = ""
    modulation_delay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.modulator, str):
            raise DescriptionError(
                "must be a population's name",
                where=f"{self.name}, field modulator",
                value=self.modulator,
            )
        delay = as_number(self.modulation_delay, where=f"{self.name}, field modulation_delay")
        self._fill(modulation_delay=delay)

    def check_synapses(  # noqa: D102 (inherited)
        self, weight: Value | None, shortest: int | None, dt: float, *, where: str
    ) -> None:
        super().check_synapses(weight, shortest, dt, where=where)
        if self.modulation_steps(dt, where=where) < 1:
            raise DescriptionError(
                "out of range",
                where=f"{where}, field synapse.modulation_delay",
                value=self.modulation_delay,
                allowed=f">= {dt:g} ms",
            )

    def modulation_steps(self, dt: float, *, where: str = "") -> int:
        """Return the delay of the modulator's spikes in steps."""
        return to_steps(self.modulation_delay, dt, where=f"{where}, field synapse.modulation_delay")


def small(value: Value) -> float:
    """Return a small magnitude of a parameter: of arrays and distributions the quantile of 5 %.

    Of a distribution of both signs it is about that: as if its density were flat around 0.
    """
    if isinstance(value, Distribution):
        value = np.array(value.quantile_range(_FEW))
        if value[0] < 0.0 < value[1]:
            return _FEW * float(np.abs(value).max())
    return float(np.quantile(np.abs(value), _FEW if np.size(value) > 2 else 0.0))
