"""One rank's engine: it advances its neurons, records them, and knows the others by an exchange."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from distsnn.engine.delivery import Delivery, ProceduralDelivery
from distsnn.engine.layout import Layout
from distsnn.engine.populations import InputRing, Neurons, make_neurons, update_call
from distsnn.engine.probes import Probe, most_steps, probes
from distsnn.engine.stimuli import CURRENTS, largest_input, stimulus_calls
from distsnn.engine.tables import Call, address, call_table
from distsnn.engine.wiring import Wiring
from distsnn.kernels import emission, loop
from distsnn.network import RecordSpikes
from distsnn.network.quanta import Quanta

Spikes = Callable[[npt.NDArray[np.int32], npt.NDArray[np.uint32]], None]

_LEAST_BUFFER = 1 << 16


class Exchange(Protocol):
    """How an engine sees the other ranks (see `distsnn.comm.exchange.Exchange`)."""

    outbox: npt.NDArray[np.int32]
    arrival_gid: npt.NDArray[np.uint32]
    arrival_step: npt.NDArray[np.int64]
    arrivals: npt.NDArray[np.int64]
    table: npt.NDArray[np.int64]
    scalars: npt.NDArray[np.float64]

    @property
    def address(self) -> int:
        """Address of the entry."""

    def explain(self, status: int) -> str:
        """Return an error's text."""


class _Alone:
    """The buffers of an engine that has no other ranks."""

    def __init__(self, n_local: int, epoch_steps: int) -> None:
        # one loop's spikes are taken from the outbox before the next's are written over them
        self.outbox = np.zeros(1 + epoch_steps + n_local * epoch_steps, np.int32)
        self.arrival_gid = np.zeros(n_local + 1, np.uint32)
        self.arrival_step = np.zeros(n_local + 1, np.int64)
        self.arrivals = np.zeros(1, np.int64)
        self.table = np.zeros(1, np.int64)
        self.scalars = np.zeros(1)
        self.address = 0

    def explain(self, status: int) -> str:
        raise AssertionError(f"no exchange, yet status {status}")


class EngineError(RuntimeError):
    """The exchange with the other ranks failed."""


class RankEngine:
    """A rank's neurons and synapses, ready to run.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    quanta : Quanta
        Fixed-point scales.
    wiring : Wiring
        The rank's synapses.
    seed : int
        The run's seed.

    Attributes
    ----------
    neurons : dict of str to Neurons
        Populations by name.
    probes : list of Probe
        State recordings.
    step : int
        Loops done.
    """

    def __init__(self, layout: Layout, quanta: Quanta, wiring: Wiring, seed: int) -> None:
        self.layout, self.quanta, self.wiring, self.seed = layout, quanta, wiring, seed
        network = layout.network
        stimulated = {one.target.population for one in network.stimuli if isinstance(one, CURRENTS)}
        self.neurons: dict[str, Neurons] = {
            one.name: make_neurons(layout, index, seed, one.name in stimulated)
            for index, one in enumerate(network.populations)
        }
        self.ring = self._make_ring()
        self._state = np.zeros(loop.STATE_SIZE, np.int64)
        self._spent = np.zeros(loop.TICKS_SIZE, np.int64)
        self._recorded = self._recorded_bitmap()
        size = max(_LEAST_BUFFER, 2 * layout.n_local)
        self._record_step = np.empty(size, np.int32)
        self._record_gid = np.empty(size, np.uint32)
        self._spiked = np.zeros(layout.n_local, np.uint8)
        self.probes: list[Probe] = probes(layout, self.neurons)
        self._connected = False

    def _make_ring(self) -> InputRing:
        wiring, layout = self.wiring, self.layout
        # pulled rows arrive in the loop in which they are due, and need no room ahead
        plans = [one.plan for one in wiring.row_sets] + [one.plan for one in wiring.generators]
        ahead = max((plan.longest for plan in plans if not plan.pull), default=0)
        rows = 1 << min(ahead, wiring.largest_delay).bit_length()
        most = wiring.load.max(axis=1, initial=0) + largest_input(layout, self.quanta)
        kind = np.int32 if most.max() < 2**31 else np.int64
        shape = (most.size, rows, 1 << layout.target_bits)
        return InputRing(np.zeros(shape, kind))

    def _recorded_bitmap(self) -> npt.NDArray[np.uint64]:
        network = self.layout.network
        bits = np.zeros((network.n_neurons // 64 + 1) * 64, np.bool_)
        for one in network.recordings:
            if isinstance(one, RecordSpikes):
                gid = network.first_gid[one.target.population]
                bits[gid + one.target.start : gid + one.target.stop] = True
        return np.packbits(bits, bitorder="little").view(np.uint64).copy()

    def recorded_neurons(self) -> dict[str, int]:
        """Return how many neurons of each population (on all ranks) are recorded."""
        counts = dict.fromkeys(self.neurons, 0)
        for one in self.layout.network.recordings:
            if isinstance(one, RecordSpikes):
                counts[one.target.population] += one.target.size
        return counts

    def connect(self, exchange: Exchange | None, epoch_steps: int) -> None:
        """Set how spikes are exchanged, and compile (or load) every kernel that is used.

        Parameters
        ----------
        exchange : Exchange or None
            The exchange; None on a single rank.
        epoch_steps : int
            Most loops between exchanges; at most the smallest delay between ranks.
        """
        layout = self.layout
        self._exchange = exchange or _Alone(layout.n_local, epoch_steps)
        swap = self._exchange
        state = self._state
        state[loop.EPOCH_STEPS] = epoch_steps
        state[loop.LARGEST_STEP] = layout.n_local
        emitted: dict[int, npt.NDArray[Any]] = {
            emission.EMITTED: swap.outbox[1 + epoch_steps :],
            emission.N_EMITTED: state[loop.N_EMITTED : loop.N_EMITTED + 1],
            emission.GROUP_GID: layout.group_gid,
            emission.GROUP_SIZE: layout.group_size,
        }
        spikes = (swap.arrival_gid, swap.arrival_step)
        self.deliveries: list[Delivery | ProceduralDelivery] = [
            *(Delivery(one, self.ring, *spikes) for one in self.wiring.row_sets),
            *(ProceduralDelivery(one, self.ring, *spikes) for one in self.wiring.generators),
        ]
        self._calls: dict[str, list[Call]] = {
            "collects": [one.collect for one in self.deliveries if one.collect is not None],
            "stimuli": stimulus_calls(layout, self.quanta, self.ring, self.neurons, self.seed),
            "updates": [
                update_call(layout, one, self.quanta, self.ring, emitted, self._spiked)
                for one in self.neurons.values()
                if one.first < one.last
            ],
            "probes": [call for one in self.probes for call in one.calls],
            "delivers": [one.deliver for one in self.deliveries],
        }
        self._tables = {name: call_table(calls) for name, calls in self._calls.items()}
        self._exchange_call = np.array(
            [swap.address, address(swap.table), address(swap.scalars)], np.int64
        )
        self._connected = True
        self.run(0, lambda step, gid: None)

    @property
    def most_steps(self) -> int:
        """Most loops of one `run`: what the buffers of state recordings hold."""
        return most_steps(self.layout.network)

    @property
    def step(self) -> int:
        """Loops done."""
        return int(self._state[loop.K])

    def run(self, steps: int, spikes: Spikes) -> None:
        """Run some loops.

        Parameters
        ----------
        steps : int
            Loops to run; at most `most_steps`.
        spikes : callable
            Takes recorded spikes, ``(step, gid)`` in that order; the arrays are reused.

        Raises
        ------
        EngineError
            If the exchange failed.
        ValueError
            If the probes' buffers do not hold that many loops.
        """
        state = self._state
        for one in self.probes:
            one.check_room(self.step, self.step + steps)
        state[loop.STOP] = state[loop.K] + steps
        swap = self._exchange
        while True:
            status = loop.run(
                state,
                self._spent,
                self._tables["collects"],
                self._tables["stimuli"],
                self._tables["updates"],
                self._tables["probes"],
                self._tables["delivers"],
                self._exchange_call,
                swap.outbox,
                swap.arrivals,
                swap.arrival_gid,
                swap.arrival_step,
                self._recorded,
                self._record_step,
                self._record_gid,
            )
            if status == loop.FAILED:
                raise EngineError(swap.explain(int(state[loop.ERROR])))
            if status == loop.GROW:
                self.deliveries[int(state[loop.PENDING_AT])].grow()
                continue
            n = int(state[loop.N_RECORDED])
            if n:
                spikes(self._record_step[:n], self._record_gid[:n])
                state[loop.N_RECORDED] = 0
            if status == loop.DONE:
                return

    @property
    def events(self) -> int:
        """Synaptic events delivered so far."""
        return sum(one.events for one in self.deliveries)

    @property
    def epochs(self) -> int:
        """Epochs so far."""
        return int(self._state[loop.EPOCHS])

    def spent(self) -> dict[str, int]:
        """Return the time spent by phase, in ticks of unknown length."""
        ticks = self._spent
        return {
            "update": int(ticks[loop.UPDATE] + ticks[loop.STIMULI] + ticks[loop.PROBES]),
            "deliver": int(ticks[loop.COLLECT] + ticks[loop.DELIVER]),
            "exchange": int(ticks[loop.EXCHANGE]),
            "record": int(ticks[loop.RECORD]),
        }
