"""Kernel calls and spikes that the parts of a plastic projection and the epoch loop share."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.codegen.plastic_entries import Entries
from distsnn.codegen.plasticity import PlasticVariant, plastic_layout, rule_kernel
from distsnn.engine.kernel_calls import KernelCall, address
from distsnn.engine.layout import LocalLayout
from distsnn.engine.plasticity.rule_constants import Floats, RuleConstants
from distsnn.engine.state_fields import Values
from distsnn.jit import KernelEntry
from distsnn.kernels import plastic
from distsnn.network import Projection


@dataclass(frozen=True, eq=False)
class ReceivedSpikes:
    """The list of spikes to deliver, and the state of the epoch loop.

    Attributes
    ----------
    gid, step : ndarray of uint32, int64
        Spikes and the iterations that emitted them.
    state : ndarray of int64
        See `kernels.loop`.
    complete_until : ndarray of int64, shape (1,)
        The iteration before which all ranks' spikes are delivered, or are those of the list:
        histories make room only where the list is empty.
    """

    gid: npt.NDArray[np.uint32]
    step: npt.NDArray[np.int64]
    state: npt.NDArray[np.int64]
    complete_until: npt.NDArray[np.int64]


class RuleCalls:
    """A rule's compiled entries, and the table and the scalars of one projection that they take.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    projection : Projection
        The projection.
    constants : RuleConstants
        Constants of the parameters that it has now, with the entries that take them.

    Attributes
    ----------
    rule : RuleKernel
        The rule's kernel module.
    where : PlasticLayout
        Layout of the table and the scalars.
    nbytes : int
        Bytes of constants that differ from synapse to synapse.
    table, scalars : ndarray of int64, float64
        Addresses and integers; real numbers.
    """

    def __init__(
        self, layout: LocalLayout, projection: Projection, constants: RuleConstants
    ) -> None:
        self.layout, self.projection, variant = layout, projection, constants.variant
        self.rule, self.where = rule_kernel(variant.kernel), plastic_layout(variant)
        self.table = np.zeros(self.where.size, np.int64)
        self.scalars = np.zeros(self.where.n_scalars)
        self.table[plastic.TABLE] = address(self.table)
        self.table[plastic.SCALARS] = address(self.scalars)
        self.use(constants)

    def use(self, constants: RuleConstants) -> None:
        """Use constants from now on."""
        self.constants, self.where = constants, plastic_layout(constants.variant)
        self.table[plastic.ADVANCE] = constants.entries.advance.address
        for name, position in self.where.scalars.items():
            self.scalars[position] = float(constants.values[name])
        self._each = {
            position: np.ascontiguousarray(constants.values[name], self.precision)
            for name, position in self.where.per_synapse.items()
        }
        for position, values in self._each.items():
            self.table[position] = address(values)
        self.nbytes = sum(values.nbytes for values in self._each.values())

    @property
    def variant(self) -> PlasticVariant:
        """The projection's variant of the rule."""
        return self.constants.variant

    @property
    def entries(self) -> Entries:
        """The variant's entries."""
        return self.constants.entries

    @property
    def precision(self) -> str:
        """Type of weights, states and traces."""
        return self.variant.precision

    def faded(self, name: str, values: Values, steps: Floats) -> Values:
        """Return a trace after some steps without events."""
        return self.constants.faded(self.rule.DECAYS, name, values, steps)

    def call(self, entry: KernelEntry) -> KernelCall:
        """Return a call of an entry with this table."""
        return KernelCall(entry, self.table, 0, 0, self.scalars)

    def arrivals(self, steps: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        """Return the steps at which sources' spikes reach the synapses."""
        return steps + int(self.table[plastic.AXONAL])
