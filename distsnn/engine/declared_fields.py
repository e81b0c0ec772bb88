"""State variables that a description declares for its neurons, before anything is built.

The holders of an engine allocate the same fields. `RankEngine.state_holders` also has those whose
number of values is not known before: pending input, spikes in flight, states of synapses, and the
recent states of targets that a `StateDrivenSynapse` follows, which depend on drawn delays.
"""

from collections.abc import Iterator

from distsnn.engine import local_neurons, source_states, spike_trains
from distsnn.engine.plasticity import sources, targets, weight_scaling
from distsnn.engine.state_fields import StateField
from distsnn.network import GammaInput, Network
from distsnn.network.plastic_synapse import StateDrivenSynapse


def declared_fields(network: Network) -> Iterator[StateField]:
    """Yield the state variables that have values for each neuron of a population."""
    for population in network.populations:
        yield from local_neurons.state_fields(population, network.dt)
    for rule in network.homeostasis:
        yield from weight_scaling.state_fields(network, rule)
    for number, stimulus in enumerate(network.stimuli):
        if isinstance(stimulus, GammaInput):
            yield from spike_trains.state_fields(stimulus, number)
    for projection in network.projections:
        yield from source_states.state_fields(projection)
        if projection.plasticity_rule is not None:
            yield from sources.state_fields(projection)
            if not isinstance(projection.plasticity_rule, StateDrivenSynapse):
                yield from targets.state_fields(projection)
