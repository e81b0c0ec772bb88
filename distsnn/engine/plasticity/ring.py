"""The input ring of plastic weights, and its addition to the ring of all other input."""

from collections.abc import Sequence

import numpy as np

from distsnn.engine.kernel_calls import KernelCall
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import InputRing
from distsnn.engine.plasticity.rows import PlasticRows
from distsnn.engine.state_fields import CountedHolder, Ints, StateField, Values
from distsnn.kernels import plastic


def plastic_ring(plastic_rows: list[PlasticRows], ring: InputRing) -> InputRing:
    """Return the ring of plastic input, which differs from the input ring in its length."""
    ahead = max((rows.max_delay for rows in plastic_rows), default=0)
    planes, _, slots = ring.rows.shape
    used = planes if plastic_rows else 0
    return InputRing(np.zeros((used, 1 << ahead.bit_length(), slots), ring.rows.dtype))


def merge_calls(
    rows: list[PlasticRows], plastic_ring_: InputRing, ring: InputRing
) -> list[KernelCall]:
    """Return the calls that add the plastic input due in an iteration to all other input."""
    calls = []
    for plane in sorted(
        {rows_of_set.row_set.plan.plane for rows_of_set in rows if rows_of_set.synapses}
    ):
        entry = plastic.merge32 if ring.bits == 32 else plastic.merge64
        call = KernelCall(entry, np.zeros(plastic.MERGE_TABLE_SIZE, np.int64), 0, 0)
        plastic_ring_.bind_plane(call, plane)
        plastic_ring_.bind_shape(call)
        ring.bind_plane(call, plane, ring=plastic.INPUT)
        call.table[plastic.INPUT_MASK] = ring.rows.shape[1] - 1
        calls.append(call)
    return calls


class PendingInput(CountedHolder):
    """The plastic input that is on its way to a population's neurons on this rank.

    Weights have changed since the spikes that caused it: delivering these again would not bring it.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    ring : InputRing
        The ring of plastic input.
    population : str
        The population.
    """

    fields: tuple[StateField, ...] = ()

    def __init__(self, layout: LocalLayout, ring: InputRing, population: str) -> None:
        self._layout, self._ring, self._population = layout, ring, population
        self._index = index = layout.population_index(population)
        self._part = slice(int(layout.first[index]), int(layout.last[index]))
        units = {"neuron": "1", "receptor": "1", "step": "step", "value": "quanta"}
        self.fields = tuple(
            StateField(
                *(population, "plastic_input", name, "rank"),
                "int64" if name == "value" else "int32",
                unit=unit,
                count_group="plastic_input",
            )
            for name, unit in units.items()
        )

    def _pending(self, step: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Return the slot, receptor and iteration of each input, and its value, in this order."""
        rows = self._ring.rows
        iterations = step + np.arange(rows.shape[1])
        # slot, receptor, iteration
        ahead = rows[:, iterations & (rows.shape[1] - 1), self._part].transpose(2, 0, 1)
        slot, receptor, step_offset = np.nonzero(ahead)
        return (
            slot,
            receptor,
            iterations[step_offset],
            ahead[slot, receptor, step_offset].astype(np.int64),
        )

    def take(self, step: int) -> list[Values]:
        """Return neuron in the population, receptor, step and value of each input."""
        slot, *columns = self._pending(step)
        columns_ = [self._layout.population_neurons(self._index)[slot], *columns]
        return [
            column.astype(field.dtype) for field, column in zip(self.fields, columns_, strict=True)
        ]

    def counts(self) -> Ints:
        """Return the number of inputs to each of the rank's blocks."""
        blocks = self._layout.blocks_of_rank(self._population)
        starts = self._layout.block_first_local[blocks] - self._part.start
        slot = np.nonzero(self._ring.rows[:, :, self._part].transpose(2, 0, 1))[0]
        return np.bincount(np.searchsorted(starts, slot, side="right") - 1, minlength=blocks.size)

    def put(self, values: Sequence[Values], step: int) -> None:
        """Set the input that is on its way."""
        neuron, receptor, step_offset, value = values
        rows = self._ring.rows
        rows[:, :, self._part] = 0
        slots = self._layout.to_local(self._index, neuron)
        rows[receptor, step_offset & (rows.shape[1] - 1), slots] = value
