"""Constants of a plastic projection: what its entries take of the parameters that it has now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from distsnn.codegen.generated import generated_rule_module
from distsnn.codegen.plastic_entries import Entries, plastic_entries
from distsnn.codegen.plasticity import PlasticVariant, RuleKernel, rule_kernel
from distsnn.engine.state_fields import StateField, projection_fields
from distsnn.errors import DescriptionError
from distsnn.kernels.functions import exp_array
from distsnn.network import EquationSynapse, Projection
from distsnn.network.plastic_synapse import PlasticSynapse

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RuleConstants:
    """Constants of a rule, with the entries that take them.

    Attributes
    ----------
    parameters : dict of str to ndarray of float64, shape () or (n_synapses,), or str
        Parameters by name; bounds of weights are magnitudes.
    values : dict of str to ndarray of float64, shape () or (n_synapses,)
        Constants by name.
    variant : PlasticVariant
        The projection's variant.
    entries : Entries
        The variant's entries.
    """

    parameters: dict[str, Any]
    values: dict[str, Floats]
    variant: PlasticVariant
    entries: Entries

    @classmethod
    def of(
        cls,
        parameters: dict[str, Any],
        dt: float,
        kernel: str,
        precision: str,
        bits: tuple[int, int],
        *,
        where: str,
    ) -> "RuleConstants":
        """Return the constants of some parameters.

        Parameters
        ----------
        parameters : dict of str to ndarray of float64, or str
            All parameters.
        dt : float
            Step, ms.
        kernel, precision : str
            The rule's kernel module, and the type of weights, states and traces.
        bits : (int, int)
            Width of words and of input rows.
        where : str
            The place named in an error.

        Raises
        ------
        DescriptionError
            If a constant is not a number.
        """
        rule = rule_kernel(kernel)
        with np.errstate(all="ignore"):  # the result is checked
            values = rule.constants(parameters, dt)
        if any(np.isnan(value).any() for value in values.values()):
            raise DescriptionError(
                "the rule divides by 0 or takes the difference of infinite numbers", where=where
            )
        names = tuple(name for name in rule.CONSTANTS if np.ndim(values[name]))
        variant = PlasticVariant(kernel, precision, *bits, names)
        return cls(parameters, values, variant, plastic_entries(variant))

    def faded(
        self, decays: Mapping[str, str], name: str, values: npt.NDArray[Any], steps: Floats
    ) -> npt.NDArray[Any]:
        """Return a trace after some steps without events, in its own type.

        Parameters
        ----------
        decays : mapping of str to str
            Time constants (steps) by the names of the traces that decay.
        name : str
            The trace.
        values : ndarray
            Its values.
        steps : ndarray of float64
            Steps since each value.
        """
        if name not in decays:
            return values
        decayed: npt.NDArray[Any] = values * exp_array(-steps / float(self.values[decays[name]]))
        return decayed.astype(values.dtype)


def rule_module_name(model: PlasticSynapse) -> str:
    """Return the import name of a model's kernel module."""
    if isinstance(model, EquationSynapse) and not model.kernel:
        return generated_rule_module(model.model)
    return model.kernel_module


def described_rule(projection: Projection) -> RuleKernel:
    """Return the kernel module of a plastic projection's rule."""
    assert projection.plasticity_rule is not None
    return rule_kernel(rule_module_name(projection.plasticity_rule))


def trace_fields(
    projection: Projection, owner: Literal["source", "target"]
) -> tuple[StateField, ...]:
    """Declare the traces of a plastic projection's sources or targets, and their last spikes."""
    rule = described_rule(projection)
    traces = rule.SOURCE if owner == "source" else rule.TARGET
    variables = dict.fromkeys(traces, (projection.weight_type, "1"))
    return (
        *projection_fields(projection, owner, f"{owner}_traces", variables),
        *projection_fields(projection, owner, f"{owner}_spikes", {"last_spike": ("int32", "step")}),
    )
