"""Parameters of plasticity rules, set between two run calls: collective, equal on all ranks."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from distsnn.comm import collective_phase, first_on_node
from distsnn.engine.plasticity.delivery import PlasticDelivery
from distsnn.engine.plasticity.synapse_parameters import BOUNDS, Floats, drawn
from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network import Distribution, Value
from distsnn.network.plastic_synapse import AUTO, LEAST_STEP, PlasticSynapse
from distsnn.network.values import ValueLike, as_value, check_value
from distsnn.network.weight_bounds import signed_range
from distsnn.simulation.access import Access, plastic_delivery
from distsnn.simulation.synapse_order import SynapseOrder

_DOING = "setting a parameter"


class RuleParameters(Mapping[str, float | Floats]):
    """Parameters of a plasticity rule by name, with the bounds ``w_max`` and ``w_min``.

    From the next step on, the network runs as if it were described with the new values. Weights
    and states stay as they are; a weight beyond a new bound becomes this bound. Times at which
    states of the target act late, axonal delays and precision cannot be changed.

    Parameters
    ----------
    access : Access
        The simulation.
    order : SynapseOrder
        The order of the projection's synapses.
    delivery : PlasticDelivery
        The projection in action.
    """

    def __init__(self, access: Access, order: SynapseOrder, delivery: PlasticDelivery) -> None:
        self._access, self._order, self._name = access, order, str(delivery.projection.name)

    @property
    def _delivery(self) -> PlasticDelivery:
        """The projection in action, which a reset replaces."""
        return plastic_delivery(self._access.engine, self._name, member="parameters")

    @property
    def _model(self) -> PlasticSynapse:
        model = self._delivery.projection.plasticity_rule
        assert model is not None
        return model

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self._model.parameters(), *BOUNDS)

    @property
    def _where(self) -> str:
        return f"parameters of {self._name!r}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> float | Floats:
        """Return a number that all synapses share, or one value for each. Collective.

        Returns
        -------
        float or ndarray of float64, shape (n_synapses,)
            An array is in the order of (source, target), as weights are.

        Raises
        ------
        DescriptionError, UsageError
            If the parameter is unknown, or ranks use different names.
        """
        with collective_phase(self._access.communicator, "reading a parameter"):
            self._check_name(name)
        delivery = self._delivery
        value = _signed(delivery, delivery.constants.parameters)[name]
        if value.ndim:
            return self._order.read(name, lambda: value)
        return float(value)

    def __setitem__(self, name: str, described: ValueLike) -> None:
        """Set a parameter from the next step on. Collective.

        Parameters
        ----------
        name : str
            The name.
        described : float, array_like (n_synapses,) or Distribution
            In the unit of the name; arrays (in the order of weights) and distributions where the
            description may have them. Draws belong to seed, source, target and time: at time 0
            they equal the draws of the description.

        Raises
        ------
        DescriptionError, UsageError
            If the parameter is unknown, a value is not allowed, or ranks give different values.
        """
        communicator, engine = self._access.communicator, self._access.engine
        with collective_phase(communicator, _DOING):
            value = self._checked(name, described)
        local_values = self._order.agree(name, value)
        with collective_phase(communicator, _DOING):
            delivery = self._delivery
            if isinstance(local_values, Distribution):
                place = engine.layout, delivery.rows, name
                local_values = drawn(*place, local_values, engine.seed, engine.step)
            local_values = np.abs(local_values) if name in BOUNDS else np.asarray(local_values)
            parameters = delivery.constants.parameters | {name: local_values}
            self._check_model(delivery, parameters, name, value)
        with collective_phase(communicator, _DOING), first_on_node(communicator):
            constants = delivery.constants_of(parameters)
            _ = constants.entries.advance.address  # which compiles it
        engine.set_rule_parameters(delivery, constants, [name])
        self._access.scripted.add(self._name)

    def _check_name(self, name: str) -> None:
        if not isinstance(name, str) or name not in self._names:
            raise unknown_name_error("parameter", str(name), self._names, where=self._where)

    def _checked(self, name: str, described: ValueLike) -> Value:
        """Return a value if it can be one of the parameter's, alone."""
        self._check_name(name)
        model, where = self._model, f"{self._where}, {name}"
        value = as_value(described, where=where)
        if name == getattr(model, "delayed_states", ""):
            raise DescriptionError("cannot be changed during a run", where=where)
        if not isinstance(value, float) and name not in model.per_synapse:
            raise DescriptionError("must be one number for all synapses", where=where, value=value)
        if name not in BOUNDS:
            check_value(value, model.parameters()[name].allowed, where=where)
        else:
            # sums of input have room for weights as large as described
            check_value(value, signed_range(model.sign, 0.0, model.max_magnitude), where=where)
        return value

    def _check_model(
        self, delivery: PlasticDelivery, parameters: dict[str, Any], name: str, value: Value
    ) -> None:
        """Check what a model with some parameters must keep to.

        Each rank checks the synapses that it has.
        """
        model, n = self._model, delivery.rows.synapses
        signed = _signed(delivery, parameters)
        arrays = [parameter for parameter, values in signed.items() if values.ndim]
        if arrays and n == 0:
            return
        values: dict[str, Any] = {
            parameter: values if values.ndim else float(values)
            for parameter, values in signed.items()
        }
        if isinstance(value, Distribution):
            drawn_from: dict[str, Any] = {name: value}
            replace(model, **drawn_from)
        after = replace(model, **values)
        after.check_each((n,), where=self._where)
        weight = delivery.projection.weight
        scale = after.max_magnitude if np.isfinite(after.max_magnitude) else delivery.most
        step = after.least_step(scale)
        if (
            model.precision == AUTO
            and delivery.projection.weight_type == "float32"
            and step < LEAST_STEP * float(np.spacing(np.float32(scale)))
            and after.weight_type(weight) == "float64"
        ):
            raise DescriptionError(
                f"steps of learning would be {step:.3g}, too small for weights of float32",
                where=f"{self._where}, {name}",
                hint='describe the model with precision="float64"',
            )


def _signed(delivery: PlasticDelivery, parameters: dict[str, Any]) -> dict[str, Floats]:
    """Return parameters of this rank's synapses, bounds with their sign."""
    model = delivery.projection.plasticity_rule
    assert model is not None
    signed = {name: parameters[name] for name in (*model.parameters(), *BOUNDS)}
    return signed | {name: model.sign * signed[name] + 0.0 for name in BOUNDS}
