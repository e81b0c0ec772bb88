"""The modulator of a plastic projection: a signal, or a trace of a population's spikes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine.kernel_calls import KernelCall, address
from distsnn.engine.spikes_in_flight import Spikes
from distsnn.engine.state_fields import StateField, StateHolder, Values, projection_fields
from distsnn.jit import KernelEntry
from distsnn.kernels import plastic
from distsnn.network import Network, Projection
from distsnn.network.plastic_synapse import ModulatedSynapse

_FIRST_ROOM = 1024


class ModulatorHistory(StateHolder):
    """When a modulator changed, and what it became (see `kernels.plastic`).

    Parameters
    ----------
    network : Network
        The network.
    projection : Projection
        The synapses that are modulated.
    call : KernelCall
        The projection's call, whose table describes the modulator.
    modulate : KernelEntry or None
        Entry by which the modulator follows spikes; None if it is a signal.

    Attributes
    ----------
    deliver : KernelCall
        Called with a range of the spikes to deliver.
    collect : KernelCall or None
        Called every iteration if the modulator follows spikes.
    """

    fields: tuple[StateField, ...] = ()

    def __init__(
        self,
        network: Network,
        projection: Projection,
        call: KernelCall,
        modulate: KernelEntry | None,
    ) -> None:
        model = projection.plasticity_rule
        assert isinstance(model, ModulatedSynapse)
        self._table = table = call.table
        self.deliver = KernelCall(plastic.queue_modulator_spikes, table, 0, 0, call.scalars)
        self.deliver.grow = self._double
        self.collect = None if modulate is None else KernelCall(modulate, table, 0, 0, call.scalars)
        self._delay = model.modulation_steps(network.dt)
        self._gid = self._neurons = 0
        if modulate is not None:
            self._gid = network.first_gid[model.modulator]
            self._neurons = network.population(model.modulator).size
        self._ahead = np.zeros(1 << (self._delay + 1).bit_length(), np.int64)
        table[plastic.MOD_GID], table[plastic.N_MOD_NEURONS] = self._gid, self._neurons
        table[plastic.MOD_DELAY], table[plastic.MOD_MASK] = self._delay, self._ahead.size - 1
        self.deliver.bind(plastic.MOD_AHEAD, self._ahead)
        self._reserve(np.zeros(1, np.int32), np.zeros(1, projection.weight_type), _FIRST_ROOM)
        variables = {"last_change": ("int64", "step"), "modulator": (projection.weight_type, "1")}
        self.fields = projection_fields(projection, "modulator", "modulators", variables)

    def _reserve(self, steps: npt.NDArray[np.int32], values: npt.NDArray[Any], size: int) -> None:
        """Reserve space for `size` changes, and store the first ones."""
        n = steps.size
        self._steps, self._values = np.zeros(size, np.int32), np.zeros(size, values.dtype)
        self._steps[:n], self._values[:n] = steps, values
        table = self._table
        table[plastic.MOD_STEP], table[plastic.MOD_VALUE] = map(
            address, (self._steps, self._values)
        )
        table[plastic.N_MOD], table[plastic.MOD_ROOM] = n, size

    def _double(self) -> None:
        """Make room for twice as many changes."""
        n = int(self._table[plastic.N_MOD])
        room = 2 * max(self._steps.size, self._ahead.size)
        self._reserve(self._steps[:n], self._values[:n], room)

    def drop_until(self, until: int) -> None:
        """Drop the changes up to a step, which all synapses have processed, except the last."""
        n = int(self._table[plastic.N_MOD])
        remaining = slice(max(0, int(np.searchsorted(self._steps[:n], until, side="right")) - 1), n)
        self._reserve(self._steps[remaining], self._values[remaining], self._steps.size)

    def set_value(self, step: int, value: float) -> None:
        """Set the modulator, for all that comes after a step up to which synapses were taken."""
        self._reserve(
            np.array([step], np.int32), np.array([value], self._values.dtype), _FIRST_ROOM
        )

    def take(self, step: int) -> list[Values]:
        """Return when it changed last, and what it became."""
        return [
            np.array([value], field.dtype)
            for field, value in zip(self.fields, self.last(), strict=True)
        ]

    def put(self, values: Sequence[Values], step: int) -> None:
        """Set when it changed last, and what it became.

        Raises
        ------
        ValueError
            If that cannot be: entries take the steps as they are.
        """
        (changed,), (value,) = values
        if not (-step <= changed <= step and np.isfinite(value)):
            raise ValueError(f"a modulator of {value:g} since step {changed} at step {step}")
        self.set_value(int(changed), float(value))

    def last(self) -> tuple[int, float]:
        """Return when it changed last, and what it became."""
        n = int(self._table[plastic.N_MOD]) - 1
        return int(self._steps[n]), float(self._values[n])

    def resume(self, step: int, flying: Spikes) -> None:
        """Note the spikes in flight that reach the synapses after a step."""
        due = flying[0].astype(np.int64) + self._delay
        gid = flying[1].astype(np.int64)
        is_pending = (due > step) & (gid >= self._gid) & (gid < self._gid + self._neurons)
        self._ahead[:] = 0
        np.add.at(self._ahead, due[is_pending] & (self._ahead.size - 1), 1)
