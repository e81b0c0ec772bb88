"""The engine of one rank: its neurons, synapses, stimuli and recordings."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np
import numpy.typing as npt

from distsnn.engine import neuron_values, spike_sources
from distsnn.engine.changed_weights import ChangedWeights, changed_weights
from distsnn.engine.currents import CURRENTS
from distsnn.engine.delivery import (
    Delivery,
    ProceduralDelivery,
    RowSetDelivery,
    SynapticDelivery,
    delivery_calls,
)
from distsnn.engine.epoch_loop import EpochLoop, SpikeExchange
from distsnn.engine.faults import Fault, neuron_fault
from distsnn.engine.kernel_calls import KernelCall
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import (
    InputRing,
    LocalNeurons,
    make_neurons,
    spikes_per_step,
    update_call,
)
from distsnn.engine.neuron_values import Parameters
from distsnn.engine.plasticity.calls import ReceivedSpikes
from distsnn.engine.plasticity.delivery import PlasticDelivery
from distsnn.engine.plasticity.ring import PendingInput, merge_calls, plastic_ring
from distsnn.engine.plasticity.rule_constants import RuleConstants
from distsnn.engine.plasticity.sources import DeliveredTraces
from distsnn.engine.plasticity.weight_probes import SynapseSelection, WeightProbe
from distsnn.engine.plasticity.weight_scaling import WeightScaler
from distsnn.engine.probes import StateProbe, make_state_probes, max_undrained_steps
from distsnn.engine.redelivery import deliver_again
from distsnn.engine.source_probes import SourceProbe, make_source_probes
from distsnn.engine.source_states import (
    OwnStates,
    SourceParameters,
    SourceStates,
    row_source_states,
    source_parameters,
)
from distsnn.engine.spikes_in_flight import Spikes, SpikesInFlight
from distsnn.engine.state_fields import StateHolder
from distsnn.engine.stimuli import Stimuli, max_stimulus_input
from distsnn.engine.wiring import LocalSynapses
from distsnn.kernels import emission, loop
from distsnn.network.quanta import WeightQuanta

Probe = StateProbe | SourceProbe | WeightProbe
SpikeConsumer = Callable[[npt.NDArray[np.int32], npt.NDArray[np.uint32]], None]


class RankEngine:
    """A rank's neurons and synapses, which run once the engine is connected.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    synapses : LocalSynapses
        The synapses onto the rank's neurons.
    seed : int
        The run's seed.
    max_weight_sums : ndarray of int64, shape (n_planes,), optional
        Maximum of the sums of \\|weights\\| onto a neuron of all ranks, quanta, so that all ranks
        have input rows of one type; by default of this rank's neurons.

    Attributes
    ----------
    neurons : dict of str to LocalNeurons
        Populations by name.
    probes : list of StateProbe
        Recordings of neurons' states.
    source_probes : list of SourceProbe
        Recordings of synapse models' states.
    weight_probes : list of WeightProbe
        Weight recordings.
    scalers : list of WeightScaler
        Homeostasis, once connected.
    max_spikes : int
        Maximum number of spikes of this rank in one step.
    sources : dict of int to OwnStates
        States of this rank's neurons as sources of synapse models, by projection.
    source_parameters : dict of int to SourceParameters
        Parameters of synapse models, by projection; a restart keeps those that were set.
    changed_weights : dict of str to ChangedWeights
        Weights of static projections that were set, by projection; a restart keeps them.
    max_weight_sums : ndarray of int64, shape (n_planes,)
        Maximum of the sums of \\|described weights\\| onto a neuron of all ranks, quanta.
    state_holders : list of StateHolder
        Holders of the state, once connected: each variable of a network once, in the order in which
        they can be set.
    state_followers : list of StateHolder
        Synapse rows, which hold copies of the states of their sources.
    max_delay : int
        Maximum delay of the whole network, steps, once connected.
    input_headroom : ndarray of int64, shape (n_planes,)
        Quanta by which a step's input to a receptor plane may exceed the described input; the same
        on all ranks.
    stimuli : Stimuli
        Stimuli, once connected.
    """

    def __init__(
        self,
        layout: LocalLayout,
        quanta: WeightQuanta,
        synapses: LocalSynapses,
        seed: int,
        max_weight_sums: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.layout, self.quanta, self.synapses, self.seed = layout, quanta, synapses, seed
        self.max_weight_sums = (
            synapses.max_weight_sums if max_weight_sums is None else max_weight_sums
        )
        self.source_parameters = source_parameters(layout, seed)
        self.changed_weights: dict[str, ChangedWeights] = changed_weights(layout, quanta)
        self.restart({})

    def restart(self, set_parameters: Mapping[str, Parameters]) -> None:
        """Make all but the synapses again, as before the first step; `connect` must follow.

        Parameters
        ----------
        set_parameters : mapping of str to (dict of str to ndarray of float64)
            By population, the values of parameters that are not as described.
        """
        layout, seed = self.layout, self.seed
        network = layout.network
        driven = {
            stimulus.target.population
            for stimulus in network.stimuli
            if isinstance(stimulus, CURRENTS)
        }
        self.neurons: dict[str, LocalNeurons] = {
            population.name: make_neurons(
                *(layout, index, seed, population.name in driven),
                set_parameters.get(population.name, {}),
            )
            for index, population in enumerate(network.populations)
        }
        self.ring = self._make_ring()
        self.max_spikes = sum(
            spikes_per_step(neurons.population) * (neurons.last - neurons.first)
            for neurons in self.neurons.values()
        )
        self._epoch_loop = EpochLoop(self.max_spikes)
        self._spiked = np.zeros(layout.n_local, np.uint8)
        self.probes: list[StateProbe] = make_state_probes(layout, self.neurons)
        self.weight_probes: list[WeightProbe] = []
        self.scalers: list[WeightScaler] = []
        self.sources = {
            index: OwnStates(layout, parameters)
            for index, parameters in self.source_parameters.items()
        }
        self.source_probes: list[SourceProbe] = make_source_probes(layout, self.sources)

    def _make_ring(self) -> InputRing:
        synapses, layout = self.synapses, self.layout
        # pull delivery adds to the row of the current iteration, and needs no rows ahead
        plans = [row_set.plan for row_set in synapses.row_sets]
        plans += [generator.plan for generator in synapses.generators]
        ahead = max((plan.max_delay for plan in plans if not plan.pull), default=0)
        n_rows = 1 << min(ahead, synapses.largest_delay).bit_length()
        max_input = self.max_weight_count * self.max_weight_sums
        for stimulus in layout.network.stimuli:
            for plane, bound in max_stimulus_input(layout, self.quanta, stimulus).items():
                max_input[plane] += bound
        dtype = np.int32 if max_input.max() < 2**31 else np.int64
        self.input_headroom = np.iinfo(dtype).max - max_input
        return InputRing(np.zeros((max_input.size, n_rows, 1 << layout.target_bits), dtype))

    @property
    def max_weight_count(self) -> int:
        """Maximum number of times that a step's input can contain a synapse's weight."""
        projections = self.layout.network.projections
        sources = {projection.pre.population for projection in projections}
        spikes = (spikes_per_step(self.neurons[source].population) for source in sources)
        factors = (
            projection.scaling_model.max_factor()
            for projection in projections
            if projection.scaling_model is not None
        )
        # a whole number also bounds products that are rounded
        return max(spikes, default=0) * math.ceil(max([1.0, *factors]))

    def connect(self, exchange: SpikeExchange | None, epoch_steps: int, max_delay: int) -> None:
        """Set how spikes are exchanged, and compile (or load) every kernel that is used.

        Parameters
        ----------
        exchange : SpikeExchange or None
            The exchange; None on a single rank.
        epoch_steps : int
            Maximum iterations in an epoch; at most the minimum delay between ranks (of a group,
            with rank groups).
        max_delay : int
            Maximum delay of the whole network, steps.
        """
        self.max_delay, self._in_flight = max_delay, SpikesInFlight()
        self._epoch_loop.connect(exchange, epoch_steps)
        self._connect_synapses()
        self.stimuli = Stimuli(self.layout, self.quanta, self.ring, self.neurons, self.seed)
        self._emission_arrays = self._epoch_loop.emission_arrays() | {
            emission.GROUP_GID: self.layout.group_gid,
            emission.GROUP_SIZE: self.layout.group_size,
        }
        self._updates = {
            name: self._update(neurons)
            for name, neurons in self.neurons.items()
            if neurons.first < neurons.last
        }
        self._epoch_loop.set_calls("updates", [*self._updates.values()])
        self._set_probe_calls()
        self._events_before = 0
        self._list_state_holders()
        self.run(0, lambda step, gid: None)

    def _connect_synapses(self) -> None:
        """Make deliveries of the received spikes, and the objects that act on them."""
        layout, ring, epoch_loop = self.layout, self.ring, self._epoch_loop
        received = epoch_loop.received
        row_sets = [
            RowSetDelivery(
                *(row_set, ring, *received),
                row_source_states(layout, row_set, self.source_parameters),
            )
            for row_set in self.synapses.row_sets
        ]
        self._static: list[SynapticDelivery] = [
            *row_sets,
            *(
                ProceduralDelivery(generator, ring, *received)
                for generator in self.synapses.generators
            ),
        ]
        rows_of_projections = self.synapses.plastic
        self.plastic_ring = plastic_ring(rows_of_projections, ring)
        spikes = ReceivedSpikes(*received, epoch_loop.state, epoch_loop.complete_until)
        self.plastic = [
            PlasticDelivery(
                *(layout, self.quanta, rows, self.plastic_ring, spikes, self.max_delay, self.seed),
                self.neurons[layout.network.projections[rows.projection].post.population],
            )
            for rows in rows_of_projections
        ]
        self._delivered_states: list[OwnStates | DeliveredTraces] = [
            *self.sources.values(),
            *(plastic.settled for plastic in self.plastic),
        ]
        by_name = self.plastic_by_name()
        self.scalers = [
            WeightScaler(layout, rule, [by_name[name] for name in rule.projections])
            for rule in layout.network.homeostasis
        ]
        modulators = [
            plastic.modulation for plastic in self.plastic if plastic.modulation is not None
        ]
        archives = [plastic.targets.deliver for plastic in self.plastic]
        self._archives = [call for call in archives if call is not None]
        self._described: list[Delivery] = [*self._static, *modulators, *self.plastic]
        self._merges = merge_calls(rows_of_projections, self.plastic_ring, ring)
        self._deliver_changed_weights()

    def plastic_by_name(self) -> dict[str, PlasticDelivery]:
        """Return the plastic projections by name, once connected; a restart replaces them."""
        return {str(plastic.projection.name): plastic for plastic in self.plastic}

    def use_changed_weights(
        self, in_flight: Spikes, factors: Mapping[int, npt.NDArray[np.float64]]
    ) -> None:
        """Deliver with the static weights that a script has just set, also the spikes in flight.

        Parameters
        ----------
        in_flight : (ndarray of int32, ndarray of uint32)
            The spikes in flight of all ranks, in the order of (step, gid).
        factors : mapping of int to ndarray of float64, shape (n_spikes,)
            Their factors, by projection with a synapse model.
        """
        input_before = self.ring.rows.copy()
        differences = self._deliver_changed_weights()
        self._deliver_again(differences, self.step, in_flight, factors)
        self.ring.rows[:] = input_before

    def _deliver_changed_weights(self) -> list[RowSetDelivery]:
        """Make and return the deliveries of the differences between set and described weights."""
        received = self._epoch_loop.received
        described = [
            delivery.states
            for delivery in self._static
            if isinstance(delivery, RowSetDelivery) and delivery.states is not None
        ]
        differences, self._row_states = [], list(described)
        for weights in self.changed_weights.values():
            for row_set in weights.row_sets():
                states = row_source_states(self.layout, row_set, self.source_parameters)
                if states is not None:
                    # the sources have described synapses onto this rank, too
                    states.copy_records(described)
                    self._row_states.append(states)
                differences.append(RowSetDelivery(row_set, self.ring, *received, states))
        collects, delivers = delivery_calls([*self._described, *differences], self._archives)
        self._epoch_loop.set_calls("collects", [*collects, *self._merges])
        self._epoch_loop.set_calls("delivers", delivers)
        return differences

    def _deliver_again(
        self,
        deliveries: Sequence[Delivery],
        step: int,
        in_flight: Spikes,
        factors: Mapping[int, npt.NDArray[np.float64]],
        archives: Iterable[KernelCall] = (),
    ) -> None:
        arguments = self._epoch_loop, step, in_flight, deliveries, archives, factors
        deliver_again(*arguments, input_planes=self.ring.rows)

    def _list_state_holders(self) -> None:
        for name, neurons in self.neurons.items():
            neurons.set_parameters = partial(self._restore_parameters, name)
        targets = sorted({plastic.projection.post.population for plastic in self.plastic})
        self.state_holders: list[StateHolder] = [
            *self.neurons.values(),
            *(scaler.activity for scaler in self.scalers if scaler.activity is not None),
            *self.stimuli.gammas,
            *self.sources.values(),
            *(sources.sent for sources in self.sources.values()),
            *(holder for plastic in self.plastic for holder in plastic.state_holders),
            *self.changed_weights.values(),
            *(PendingInput(self.layout, self.plastic_ring, name) for name in targets),
        ]
        self.state_followers: list[StateHolder] = [
            *self._row_states,
            *(plastic.sources for plastic in self.plastic),
        ]

    def _set_probe_calls(self) -> None:
        trackers = (plastic.targets.after_update for plastic in self.plastic)
        probes = (call for probe in self.probes if probe.on for call in probe.calls)
        calls = [*(call for call in trackers if call is not None), *probes]
        self._epoch_loop.set_calls("probes", calls)

    def _update(self, neurons: LocalNeurons) -> KernelCall:
        return update_call(
            *(self.layout, neurons, self.quanta, self.ring, self._emission_arrays),
            *(self._spiked, self.seed),
        )

    def update_with(self, population: str, parameters: Parameters) -> KernelCall | None:
        """Return the compiled update call with other parameters, without setting them.

        It is None if the rank has no neurons of the population.

        Raises
        ------
        DescriptionError
            If the neurons cannot be integrated with the parameters.
        """
        if population not in self._updates:
            return None
        call = self._update(replace(self.neurons[population], parameters=parameters))
        _ = call.entry.address  # which compiles it
        return call

    def set_parameters(
        self,
        population: str,
        parameters: Parameters,
        changed: Iterable[str],
        update: KernelCall | None,
    ) -> None:
        """Set a population's parameters; states keep their values in the user's units.

        Parameters
        ----------
        population : str
            The population.
        parameters : dict of str to ndarray of float64
            All of its parameters.
        changed : iterable of str
            Names of the new ones.
        update : KernelCall or None
            Result of `update_with`.
        """
        neurons = self.neurons[population]
        neuron_values.change_parameters(neurons, parameters, changed)
        for probe in self.probes:
            if probe.recording.target.population == population:
                probe.follow(neurons)
        for plastic in self.plastic:
            if plastic.target_population == neurons.index:
                plastic.targets.follow(neurons)
        if update is not None:
            self._updates[population] = update
            self._epoch_loop.set_calls("updates", [*self._updates.values()])

    def set_rule_parameters(
        self, plastic: PlasticDelivery, constants: RuleConstants, changed: Iterable[str]
    ) -> None:
        """Set parameters of a plastic projection, for all that happens after this step.

        Parameters
        ----------
        plastic : PlasticDelivery
            The projection.
        constants : RuleConstants
            Result of its `constants_of`.
        changed : iterable of str
            Names of the new parameters.
        """
        plastic.rows.changed |= {name: constants.parameters[name] for name in changed}
        # also if this rank's constants are equal, because another rank's may differ
        plastic.change(constants, self.step, self.settle())

    def set_source_parameters(
        self, parameters: SourceParameters, changed: Mapping[str, npt.NDArray[np.float64]]
    ) -> None:
        """Set parameters of a projection's synapse model, for spikes sent after this step.

        The states are advanced to this step with the previous parameters. Spikes in flight keep
        the factors with which they were sent.

        Parameters
        ----------
        parameters : SourceParameters
            Parameters of the projection.
        changed : mapping of str to ndarray of float64, shape () or (n_sources,)
            The new values, the same on all ranks.
        """
        states = self.states_now(parameters)
        parameters.changed |= changed
        for holder in states:
            holder.use_parameters()

    def states_now(self, parameters: SourceParameters) -> list[SourceStates]:
        """Return all states of a projection's synapse model, advanced to this step."""
        self.follow()
        states = [
            holder
            for holder in (*self.sources.values(), *self._row_states)
            if holder.parameters is parameters
        ]
        for holder in states:
            holder.bring_up(self.step)
        return states

    def _restore_parameters(
        self, population: str, parameters: Parameters, changed: Iterable[str]
    ) -> None:
        update = self.update_with(population, parameters)
        self.set_parameters(population, parameters, changed, update)

    @property
    def max_undrained_steps(self) -> int:
        """Maximum iterations of one `run`, whose records must fit the probes' buffers."""
        weight_limits = (probe.most_steps for probe in self.weight_probes)
        return min([max_undrained_steps(self.layout.network), *weight_limits])

    @property
    def step(self) -> int:
        """Number of iterations done."""
        return self._epoch_loop.iteration

    def probes_by_folder(self) -> dict[str, list[Probe]]:
        """Return the recordings of states and weights, by the folders of a store."""
        return {"state": [*self.probes, *self.source_probes], "weights": [*self.weight_probes]}

    def switch_recording(self, folder: str, name: str, on: bool) -> None:
        """Switch a recording of states or weights on or off, once connected and drained."""
        for probe in self.probes_by_folder()[folder]:
            if probe.recording.name == name:
                probe.on = on
        self._set_probe_calls()

    def record_weights(self, selections: Iterable[SynapseSelection]) -> None:
        """Record weights from now on, once connected."""
        by_name = self.plastic_by_name()
        self.weight_probes = [
            WeightProbe(by_name[selection.recording.projection], selection)
            for selection in selections
        ]

    def run(self, steps: int, consume: SpikeConsumer) -> None:
        """Run some iterations.

        Parameters
        ----------
        steps : int
            Number of iterations; at most `max_undrained_steps`.
        consume : callable
            Called with this rank's spikes, ``(step, gid)`` in that order; the arrays are not
            reused.

        Raises
        ------
        EngineError
            If the exchange failed.
        ValueError
            If the probes' buffers cannot hold the records of that many iterations.
        """
        end = self.step + steps
        for probe in chain.from_iterable(self.probes_by_folder().values()):
            probe.check_room(self.step, end)
        if any(probe.on for probe in self.source_probes):
            self.follow()
        for source_probe in self.source_probes:
            source_probe.begin(self.step)
        self._epoch_loop.set_table("stimuli", self.stimuli.acting(self.step, end))
        # weights are known when all ranks' spikes are delivered: at the end of an epoch
        actions: list[tuple[int, Callable[[int], None]]] = [
            *((scaler.interval_steps, scaler.apply) for scaler in self.scalers),
            *((probe.interval_steps, probe.sample) for probe in self.weight_probes if probe.on),
        ]
        while True:
            start = self.step
            pauses = ((start // interval + 1) * interval for interval, _ in actions)
            self._run_until(min([end, *pauses]), consume)
            for source_probe in self.source_probes:
                source_probe.finish(self.step)
            for interval, action in actions if self.step > start else ():
                if self.step % interval == 0:
                    action(self.step)
            if self.step == end:
                return

    def _run_until(self, stop: int, consume: SpikeConsumer) -> None:
        for reused_step, reused_gid in self._epoch_loop.run(stop, self._make_room_to_track):
            step, gid = self._in_flight.append(reused_step, reused_gid)
            until = int(step[-1]) - self.max_delay
            if self._in_flight.should_drop(until):
                self._drop_delivered(until)
            for scaler in self.scalers:
                scaler.spikes(step, gid)
            for probe in self.source_probes:
                probe.follow(step, gid)
            consume(step, gid)

    def _make_room_to_track(self) -> None:
        for plastic in self.plastic:
            plastic.make_room_to_watch()

    def add_source_spikes(
        self, source: str, step: npt.NDArray[np.integer], neurons: npt.NDArray[np.integer]
    ) -> None:
        """Add spikes of spike sources, later than this step.

        Parameters
        ----------
        source : str
            A population of spike sources.
        step, neurons : ndarray of int, shape (n,)
            Spike steps and indices in the population, including other ranks' neurons; no pair
            occurs twice.
        """
        if source in self._updates:
            index = self.neurons[source].index
            spike_sources.emit(self._updates[source], self.layout, index, step, neurons)

    def _drop_delivered(self, until: int) -> None:
        """Drop the spikes in flight up to a step, whose events are all delivered."""
        for step, gid in self._in_flight.drop_until(until):
            for states in self._delivered_states:
                states.advance(step, gid)

    def settle(self) -> Spikes:
        """Advance all that is saved to this step; return this rank's spikes in flight."""
        self._drop_delivered(self.step - self.max_delay)
        for plastic in self.plastic:
            plastic.process_pending_events(self.step)
        return self.follow()

    def sent_factors(self, in_flight: Spikes) -> dict[int, npt.NDArray[np.float64]]:
        """Return the factors of this rank's spikes in flight, by projection with a synapse model.

        The spikes are those that `settle` has just returned.
        """
        return {index: states.sent.of_spikes(in_flight) for index, states in self.sources.items()}

    def follow(self) -> Spikes:
        """Advance the states of this rank's sources by all spikes; return those in flight."""
        steps, gids = self._in_flight.remaining()
        for states in self.sources.values():
            states.follow(steps, gids)
        return steps, gids

    def resume(self, step: int, in_flight: Spikes) -> None:
        """Continue from a step, to which the caller has set the states.

        Parameters
        ----------
        step : int
            Number of iterations done.
        in_flight : (ndarray of int32, ndarray of uint32)
            The spikes of all ranks in (step - max_delay, step], in the order of (step, gid).
        """
        for plastic in self.plastic:
            plastic.use_changed()
        factors = {index: sources.sent.resume(in_flight) for index, sources in self.sources.items()}
        deliveries = [*self._static, *self._deliver_changed_weights()]
        self._deliver_again(deliveries, step, in_flight, factors, self._archives)
        self._events_before = self._count_events()
        steps, gids = in_flight
        is_local = self.layout.is_local(gids)
        if is_local.any():
            self._in_flight.append(steps[is_local], gids[is_local])
        for plastic in self.plastic:
            plastic.resume(step, in_flight)

    def fault(self) -> Fault | None:
        """Return the first fault of a neuron or synapse of this rank, if there is one."""
        faults = [
            neuron_fault(self._epoch_loop.state[loop.N_EMITTED :], self.layout.network),
            *(plastic.fault() for plastic in self.plastic),
            *(states.fault() for states in self._row_states),
        ]
        return min((Fault(*fault) for fault in faults if fault is not None), default=None)

    def _count_events(self) -> int:
        return sum(delivery.events for delivery in chain(self._static, self.plastic))

    @property
    def events(self) -> int:
        """Synaptic events delivered so far."""
        return self._count_events() - self._events_before

    @property
    def epochs(self) -> int:
        """Epochs so far."""
        return self._epoch_loop.epochs

    def phase_ticks(self) -> dict[str, int]:
        """Return the time by phase, in ticks of unknown length."""
        return self._epoch_loop.ticks_by_phase()
