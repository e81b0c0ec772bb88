"""Projections: synapses from one view to another; what delays a description allows."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError
from distsnn.network.base import Description
from distsnn.network.checks import (
    Interval,
    as_integer,
    check_range,
    check_shape,
    steps_array,
)
from distsnn.network.distributions import MIN_ACCEPTANCE, Distribution
from distsnn.network.edges import ConnectionFile
from distsnn.network.equations.plasticity_model import PlasticityModel
from distsnn.network.equations.transmission_model import TransmissionModel
from distsnn.network.model import Neuron, SynapseModel
from distsnn.network.plastic_synapse import PlasticSynapse, StateDrivenSynapse
from distsnn.network.populations import PopulationView, Target, as_view, check_name
from distsnn.network.registry import check_registered, nearest_synapse_class
from distsnn.network.rules import ConnectionRule
from distsnn.network.values import TAIL, Value, ValueLike, as_value
from distsnn.public_api import public_function

# A pulled run keeps its delay in 16 bits.
MAX_DELAY_STEPS = 2**16 - 1


def _allowed(dt: float) -> Interval:
    # A delay within a rounding error of dt is allowed.
    return Interval(dt * (1.0 - 1e-9), MAX_DELAY_STEPS * dt)


@dataclass(frozen=True, eq=False, init=False)
class Projection(Description):
    """Synapses from one group of neurons to another.

    Parameters
    ----------
    pre, post : Population, PopulationView or str
        Sources and targets.
    rule : ConnectionRule
        Connection rule, which selects the connected pairs.
    weight : float, array_like or Distribution, optional
        Weight in the target model's unit; left out only where the rule's file holds weights.
    delay : float, array_like or Distribution, optional
        Delay, ms, at least dt; left out only where the rule's file holds delays. Constants and
        arrays must be on the grid; draws below dt/2 are drawn again and rounded to the grid.
    receptor : str, optional
        Receptor of the target; None takes the only one, or the one of the weight's sign.
    weight_bits : int, optional
        Weights have an error of at most 2^-weight_bits of the projection's scale: the larger of
        |mean| and standard deviation, or the largest given weight. None: of at most 2^-10 of each
        weight that matters (`network.quanta`). Learnt weights start so.
    name : str, optional
        Name; in a network None becomes ``"pre->post"``.
    synapse : SynapseModel, TransmissionModel or PlasticityModel, optional
        Synapse model that scales the weights, such as `Tsodyks2`, or plasticity rule that changes
        them, such as `STDP`; None:
        synapses are static.
    """

    pre: PopulationView
    post: PopulationView
    rule: ConnectionRule
    weight: Value | None
    delay: Value | None
    receptor: str | None
    weight_bits: int | None
    name: str | None
    synapse: SynapseModel | None

    @public_function
    def __init__(
        self,
        pre: Target,
        post: Target,
        rule: ConnectionRule,
        weight: ValueLike | None = None,
        delay: ValueLike | None = None,
        receptor: str | None = None,
        weight_bits: int | None = None,
        name: str | None = None,
        synapse: SynapseModel | TransmissionModel | PlasticityModel | None = None,
    ) -> None:
        source = as_view(pre, where="projection, field pre")
        target = as_view(post, where="projection, field post")
        where = f"projection {name or f'{source.population}->{target.population}'!r}"
        if not isinstance(rule, ConnectionRule):
            raise DescriptionError(
                "must be a connection rule",
                where=f"{where}, field rule",
                value=rule,
                allowed="an instance, such as FixedIndegree(100)",
            )
        if name is not None:
            check_name(name, where=f"{where}, field name")
        if isinstance(synapse, TransmissionModel | PlasticityModel):
            synapse = synapse()
        if synapse is not None and not isinstance(synapse, SynapseModel):
            raise _no_synapse_model(synapse, where=f"{where}, field synapse")
        if synapse is not None:
            check_registered(synapse, where=f"{where}, field synapse")
        if weight_bits is not None:
            weight_bits = as_integer(
                weight_bits, where=f"{where}, field weight_bits", low=0, high=30
            )
        self._fill(
            pre=source,
            post=target,
            rule=rule,
            weight=None if weight is None else as_value(weight, where=f"{where}, field weight"),
            delay=None if delay is None else as_value(delay, where=f"{where}, field delay"),
            receptor=receptor,
            weight_bits=weight_bits,
            name=name,
            synapse=synapse,
        )

    @property
    def is_recurrent(self) -> bool:
        """Whether sources and targets are the same neurons."""
        return self.pre == self.post

    @property
    def has_listed_view(self) -> bool:
        """Whether the sources or the targets are not consecutive neurons."""
        return self.pre.neurons is not None or self.post.neurons is not None

    @property
    def plasticity_rule(self) -> PlasticSynapse | None:
        """The plasticity rule that changes the weights, if any."""
        return self.synapse if isinstance(self.synapse, PlasticSynapse) else None

    @cached_property
    def weight_type(self) -> str:
        """Type in which plastic weights are kept; empty: the weights do not learn."""
        return self.plasticity_rule.weight_type(self.weight) if self.plasticity_rule else ""

    @property
    def scaling_model(self) -> SynapseModel | None:
        """The synapse model that scales the weights at every spike of the source, if any."""
        return None if isinstance(self.synapse, PlasticSynapse) else self.synapse

    def check(self, model: Neuron, dt: float, *, where: str) -> None:
        """Check the projection onto neurons of a model.

        Raises
        ------
        DescriptionError
            If it cannot be built as described.
        """
        model.check_receptor(self.receptor, where=where)
        n_pre, n_post = self.pre.size, self.post.size
        if self.rule.skips_autapses and not self.is_recurrent and self.pre.n_shared(self.post):
            raise DescriptionError(
                "autapses=False needs sources and targets that are the same neurons or disjoint",
                where=f"{where}, field rule.autapses",
                value=f"{self.pre.text} to {self.post.text}",
            )
        self.rule.check(n_pre, n_post, self.is_recurrent, where=where)
        for name, value in (("weight", self.weight), ("delay", self.delay)):
            self._check_source(name, value, where=f"{where}, field {name}")
        if self.weight is not None:
            model.check_weight(self.receptor, self.weight, where=f"{where}, field weight")
        if self.delay is not None:
            delay_bounds(self.delay, dt, where=f"{where}, field delay")
        if self.synapse is not None:
            place = f"{where}, field synapse"
            if self.plasticity_rule is not None:
                self.plasticity_rule.check_each(self.rule.array_shape(n_pre, n_post), where=place)
            else:
                self.synapse.check(n_pre, where=place)
            if self.plasticity_rule is None and not model.accepts_scaled_weights:
                raise DescriptionError(
                    f"{model.name} relays whole spikes: a synapse model cannot scale its weights",
                    where=f"{where}, field synapse",
                    value=self.synapse.name,
                    allowed="None",
                )
        if self.plasticity_rule is not None:
            self._check_unit(self.plasticity_rule.weight_unit, model, where=where)
            shortest = None if self.delay is None else delay_bounds(self.delay, dt)[0]
            self.plasticity_rule.check_synapses(self.weight, shortest, dt, where=where)
        if isinstance(self.synapse, StateDrivenSynapse):
            self.synapse.check_target(model.states, model.name, where=f"{where}, field synapse")

    def _check_unit(self, unit: str, model: Neuron, *, where: str) -> None:
        target_unit = model.weight_unit
        if unit and target_unit and unit not in target_unit.split(", "):
            raise DescriptionError(
                f"its weights are in {unit}, but the input of {model.name} is in {target_unit}",
                where=f"{where}, field synapse",
                hint=f"use a rule with weight_unit={target_unit!r}",
            )

    def _check_source(self, name: str, value: Value | None, *, where: str) -> None:
        in_file = (
            isinstance(self.rule, ConnectionFile) and getattr(self.rule, f"{name}s") is not None
        )
        if in_file and value is not None:
            raise DescriptionError(f"{name}s are in the file already", where=where, value=value)
        if not in_file and value is None:
            raise DescriptionError("is missing", where=where)
        if isinstance(value, np.ndarray):
            shape = self.rule.array_shape(self.pre.size, self.post.size)
            rule = type(self.rule).__name__
            if shape is None:
                raise DescriptionError(
                    f"{rule} takes no array", where=where, allowed="a number or a distribution"
                )
            check_shape(value, shape, where=where, meaning=f"as {rule} makes synapses")


def _no_synapse_model(value: object, *, where: str) -> DescriptionError:
    name = value.__name__ if isinstance(value, type) else value
    return DescriptionError(
        "must be a synapse model",
        where=where,
        value=value,
        allowed="None for static synapses, or an instance, such as Tsodyks2(U=0.5)",
        nearest=nearest_synapse_class(name) if isinstance(name, str) else None,
    )


def delay_steps(
    delay: float | npt.NDArray[np.float64], dt: float, *, where: str = "delay", first: int = 0
) -> npt.NDArray[np.int32]:
    """Return given delays in steps.

    Parameters
    ----------
    delay : float or ndarray of float64
        Delays, ms.
    dt : float
        Step, ms.
    where : str
        The place named in an error.
    first : int
        Where the array's indices begin: it may be a slice of another.

    Returns
    -------
    ndarray of int32, same shape

    Raises
    ------
    DescriptionError
        If one is not finite, zero, negative or off the grid.
    """
    array = np.asarray(delay, np.float64)
    check_range(array, _allowed(dt), where=where, first=first)
    return steps_array(array, dt, where=where, first=first).astype(np.int32)


def delay_bounds(delay: Value, dt: float, *, where: str = "delay") -> tuple[int, int]:
    """Return hard bounds of the delays that occur, in steps.

    Parameters
    ----------
    delay : float, ndarray or Distribution
        Delays, ms.
    dt : float
        Step, ms.
    where : str
        The place named in an error.

    Returns
    -------
    min_steps, max_steps : int
        A draw x becomes ``floor(x/dt + 0.5)`` steps. Draws below dt/2 are drawn again, so
        `min_steps` >= 1. For an unbounded distribution `max_steps` is the quantile of mass 2^-60:
        what would be rounded above it is drawn again.

    Raises
    ------
    DescriptionError
        If a given delay is not finite, zero, negative or off the grid, or if the mean of drawn
        ones is not positive or less than 1 draw in 1000 reaches dt/2.
    """
    if not isinstance(delay, Distribution):
        steps = delay_steps(delay, dt, where=where)
        return (int(steps.min()), int(steps.max())) if steps.size else (1, 1)
    if delay.expectation() <= 0.0:
        raise DescriptionError("the mean must be > 0", where=where, value=delay)
    if 1.0 - delay.cdf(0.5 * dt) < MIN_ACCEPTANCE:
        raise DescriptionError(
            "hardly any draw would reach dt/2",
            where=where,
            value=delay,
            allowed=f"at least 1 draw in 1000 above {0.5 * dt:g} ms",
        )
    low, high = delay.support()
    if not math.isfinite(high):
        high = delay.quantile_range(TAIL)[1]
    check_range(high, Interval(0.0, MAX_DELAY_STEPS * dt), where=where)
    longest = max(1, math.floor(high / dt + 0.5))
    return max(1, math.floor(max(low, 0.0) / dt + 0.5)), longest
