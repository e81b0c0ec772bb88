"""Homeostasis: what keeps the weights onto each neuron in bounds, at regular times of a run."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.base import Description
from distsnn.network.checks import (
    NOT_NEGATIVE,
    POSITIVE,
    FloatArray,
    Interval,
    as_number,
    check_range,
    check_shape,
    interval_steps,
)
from distsnn.network.populations import check_name
from distsnn.network.projections import Projection
from distsnn.network.values import as_value

_FRACTION = Interval(0.0, 1.0, open_low=True)


@dataclass(frozen=True, eq=False)
class Homeostasis(Description, ABC):
    """Base class of what multiplies all weights onto a neuron by one factor, again and again.

    It acts at the multiples of an interval, after all events of that step, on plastic projections
    onto the same neurons with weights of one sign. What goes beyond a bound is set to it. The
    weights of a projection that does not learn for the moment stay as they are.

    Parameters
    ----------
    projections : str, Projection or sequence of these
        Names of the projections.
    interval : float
        Interval, ms, on the grid.
    name : str, optional
        Name, unique; in a network None becomes the projections' names.
    """

    projections: tuple[str, ...]
    interval: float
    name: str | None

    def _begin(self, projections: object, interval: float, name: str | None) -> str:
        """Set what all have, and return the place for errors."""
        noun = type(self).__name__
        single = isinstance(projections, str | Projection)
        listed = [projections] if single else projections
        if not isinstance(listed, Sequence) or not listed:
            raise DescriptionError(
                "must be names of projections", where=f"{noun}, field projections", value=listed
            )
        names = tuple(item.name if isinstance(item, Projection) else item for item in listed)
        for projection_name in names:
            if not isinstance(projection_name, str):
                raise DescriptionError(
                    "must be a projection's name",
                    where=f"{noun}, field projections",
                    value=projection_name,
                    allowed="a name, or a Projection that has a name",
                    hint="a projection without a name becomes 'pre->post' in the network",
                )
        if name is not None:
            check_name(name, where=f"{noun}, field name")
        where = f"{noun} {name or ', '.join(map(str, names))!r}"
        self._fill(
            projections=names,
            interval=as_number(interval, where=f"{where}, field interval"),
            name=name,
        )
        return where

    def interval_steps(self, dt: float) -> int:
        """Return the interval in steps."""
        where = f"{type(self).__name__} {self.name!r}, field interval"
        return interval_steps(self.interval, dt, where=where)

    def with_name(self) -> Self:
        """Return the same with a name."""
        return replace(self, name=self.name or ", ".join(self.projections))

    def check(self, by_name: Mapping[str, Projection], dt: float) -> None:
        """Check that a network's projections are such as can be scaled together.

        Raises
        ------
        DescriptionError
            If one does not exist or is not plastic, they end on different neurons or have weights
            of different signs, or the interval is off the grid.
        """
        where = f"{type(self).__name__} {self.name!r}"
        projections = []
        for name in self.projections:
            place = f"{where}, field projections"
            if name not in by_name:
                raise unknown_name_error("projection", name, by_name, where=place)
            if by_name[name].plasticity_rule is None:
                raise DescriptionError(
                    f"projection {name!r} is not plastic",
                    where=place,
                    allowed="plastic projections",
                    hint="set its `synapse` to a plasticity rule, such as STDP()",
                )
            projections.append(by_name[name])
            model, first = by_name[name].plasticity_rule, projections[0].plasticity_rule
            assert model is not None
            assert first is not None
            if by_name[name].post != projections[0].post or model.sign != first.sign:
                raise DescriptionError(
                    f"{projections[0].name!r} and {name!r} have different targets or signs",
                    where=place,
                    allowed="projections onto the same neurons, with weights of one sign",
                )
        if len(set(self.projections)) < len(self.projections):
            raise DescriptionError(
                "projection named twice",
                where=f"{where}, field projections",
                value=self.projections,
            )
        self.interval_steps(dt)
        self._check_goal(projections[0], where=where)

    @abstractmethod
    def _check_goal(self, projection: Projection, *, where: str) -> None: ...


@dataclass(frozen=True, eq=False, init=False)
class NormaliseWeights(Homeostasis):
    """Brings the sum of the weights onto each neuron to a total.

    Each time the weights are multiplied by 1 + fraction (total / sum - 1). A neuron whose weights
    are all 0 keeps them.

    Parameters
    ----------
    projections : str, Projection or sequence of these
        Names of the projections, whose weights are summed together.
    interval : float
        Interval, ms, on the grid.
    total : float or array_like (n_targets,)
        The sum, in the weights' unit and with their sign.
    fraction : float
        How much of the way is gone each time, above 0, up to 1.
    name : str, optional
        Name, unique; in a network None becomes the projections' names.
    """

    total: float | FloatArray
    fraction: float

    def __init__(
        self,
        projections: str | Projection | Sequence[str | Projection],
        interval: float,
        total: float | FloatArray | Sequence[float],
        fraction: float = 1.0,
        name: str | None = None,
    ) -> None:
        where = self._begin(projections, interval, name)
        fraction = as_number(fraction, where=f"{where}, field fraction")
        check_range(fraction, _FRACTION, where=f"{where}, field fraction")
        self._fill(total=_per_target(total, where=f"{where}, field total"), fraction=fraction)

    def _check_goal(self, projection: Projection, *, where: str) -> None:
        assert projection.plasticity_rule is not None
        allowed = (
            POSITIVE if projection.plasticity_rule.sign > 0 else Interval(high=0.0, open_high=True)
        )
        _check_per_target(self.total, projection, allowed, where=f"{where}, field total")


@dataclass(frozen=True, eq=False, init=False)
class SynapticScaling(Homeostasis):
    """Scales the weights onto each neuron until it spikes at a rate (van Rossum et al. 2000).

    With a the neuron's activity, a trace of its spikes that decays with tau::

        dw/dt = beta w (rate - a)    da/dt = -a/tau + spikes

    Each time the weights are multiplied by exp(beta interval (rate - a)). The activity begins with
    the rate, so that nothing happens before it is known. The rule's term for the integral of
    (rate - a) is left out.

    Parameters
    ----------
    projections : str, Projection or sequence of these
        Names of the projections.
    interval : float
        Interval, ms, on the grid.
    rate : float or array_like (n_targets,)
        Rate to be reached, spikes/s.
    beta : float
        Speed: by how much weights grow, as a share, in a second in which a neuron is 1 spike/s too
        slow.
    tau : float
        Time constant of the activity, ms.
    name : str, optional
        Name, unique; in a network None becomes the projections' names.

    Notes
    -----
    Source: van Rossum, Bi & Turrigiano (2000), J Neurosci 20:8812; Turrigiano et al. (1998),
    Nature 391:892.
    """

    rate: float | FloatArray
    beta: float
    tau: float

    def __init__(
        self,
        projections: str | Projection | Sequence[str | Projection],
        interval: float,
        rate: float | FloatArray | Sequence[float],
        beta: float,
        tau: float,
        name: str | None = None,
    ) -> None:
        where = self._begin(projections, interval, name)
        numbers = {}
        for field, value, allowed in (("beta", beta, NOT_NEGATIVE), ("tau", tau, POSITIVE)):
            numbers[field] = as_number(value, where=f"{where}, field {field}")
            check_range(numbers[field], allowed, where=f"{where}, field {field}")
        self._fill(rate=_per_target(rate, where=f"{where}, field rate"), **numbers)

    def _check_goal(self, projection: Projection, *, where: str) -> None:
        _check_per_target(self.rate, projection, NOT_NEGATIVE, where=f"{where}, field rate")


def _per_target(argument: object, *, where: str) -> float | FloatArray:
    value = as_value(argument, where=where)
    if not isinstance(value, float | np.ndarray):
        raise DescriptionError("must be a number or an array", where=where, value=value)
    return value


def _check_per_target(
    value: float | FloatArray, projection: Projection, allowed: Interval, *, where: str
) -> None:
    if isinstance(value, np.ndarray):
        check_shape(
            value, (projection.post.size,), where=where, meaning="one value per target neuron"
        )
    check_range(value, allowed, where=where)
