"""What the parts of a plastic projection share with each other and with the loop."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.codegen.plastic_entries import plastic_entries
from distsnn.codegen.plasticity import PlasticVariant, plastic_layout, rule_kernel
from distsnn.engine.layout import Layout
from distsnn.engine.tables import Call, address
from distsnn.jit import Entry
from distsnn.kernels import plastic
from distsnn.network import Projection


@dataclass(frozen=True, eq=False)
class SpikeLists:
    """The list of spikes to deliver, and what the loop says of itself.

    Attributes
    ----------
    gid, step : ndarray of uint32, int64
        Spikes and the loops that emitted them.
    state : ndarray of int64
        See `kernels.loop`.
    known_until : ndarray of int64, shape (1,)
        The loop before which all ranks' spikes are delivered, or are those that the list holds:
        histories make room only where the list is empty.
    """

    gid: npt.NDArray[np.uint32]
    step: npt.NDArray[np.int64]
    state: npt.NDArray[np.int64]
    known_until: npt.NDArray[np.int64]


class RuleCalls:
    """A rule's compiled entries, and the table and the scalars of one projection that they take.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    projection : Projection
        The projection.
    variant : PlasticVariant
        Its variant of the rule.

    Attributes
    ----------
    rule : RuleKernel
        The rule's kernel module.
    where, entries : PlasticLayout, Entries
        What is where in the table and the scalars; the entries.
    table, scalars : ndarray of int64, float64
        Addresses and integers; real numbers.
    """

    def __init__(self, layout: Layout, projection: Projection, variant: PlasticVariant) -> None:
        self.layout, self.projection, self.variant = layout, projection, variant
        self.rule, self.where = rule_kernel(variant.kernel), plastic_layout(variant)
        self.entries = plastic_entries(variant)
        self.table = np.zeros(self.where.size, np.int64)
        self.scalars = np.zeros(self.where.n_scalars)
        self.table[plastic.ADVANCE] = self.entries.advance.address
        self.table[plastic.TABLE] = address(self.table)
        self.table[plastic.SCALARS] = address(self.scalars)

    @property
    def precision(self) -> str:
        """Type of weights, states and traces."""
        return self.variant.precision

    def call(self, entry: Entry) -> Call:
        """Return a call of an entry with this table."""
        return Call(entry, self.table, 0, 0, self.scalars)
