"""``distsnn profile``: rates and costs of a network from a short run, for partitioning."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from distsnn.cli.models import load_model
from distsnn.comm import Communicator, collective_phase
from distsnn.errors import DescriptionError
from distsnn.network import Network
from distsnn.simulation import Simulation
from distsnn.simulation.run_summary import Counted


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command. Collective."""
    with collective_phase(communicator, "making the network"):
        if communicator.rank == 0 and options.out is not None and Path(options.out).exists():
            raise DescriptionError("exists already", where="--out", value=options.out)
        model = load_model(options.model, options.set)
        populations = model.network.populations
    seed = model.seed if options.seed is None else options.seed
    with Simulation(model.network, seed=seed, communicator=communicator) as simulation:
        simulation.run(options.warmup)
        before = simulation.counted()
        simulation.run(options.time)
        after = simulation.counted()
        spikes = {one.name: simulation[one].spike_counts().sum() for one in populations}
    per_second = 1e3 / options.time
    rates = {one.name: per_second * float(spikes[one.name]) / one.size for one in populations}
    costs: dict[str, Any] = _costs(before, after, _neuron_steps(model.network, options))
    of_models = _of_models(model.network, seed, options, communicator)
    if of_models and "neuron" in costs:
        costs["models"] = _scaled(of_models, model.network, costs["neuron"])
    with collective_phase(communicator, "writing rates"):
        if communicator.rank == 0:
            text = json.dumps({"rates": rates, "cost": costs}, indent=2)
            if options.out is None:
                print(text)
            else:
                Path(options.out).write_text(text + "\n")
    return 0


def _neuron_steps(network: Network, options: Namespace) -> float:
    return network.n_neurons * float(options.time) / network.dt


def _of_models(
    network: Network, seed: int, options: Namespace, communicator: Communicator
) -> dict[str, float]:
    """Return what a neuron of each model takes for a step, ns, where there are several. Collective.

    Those of a model are run without all others, with their stimuli and no synapse: the clock that
    the whole run has is one for all updates. Nothing is returned unless all models' are known, as
    together they are what the whole network takes.
    """
    names = list(dict.fromkeys(one.model.name for one in network.populations))
    found: dict[str, float] = {}
    for name in names if len(names) > 1 else ():
        with collective_phase(communicator, "making the network"):
            own = [one for one in network.populations if one.model.name == name]
            kept = {one.name for one in own}
            stimuli = [one for one in network.stimuli if one.target.population in kept]
            part = Network(own, [], stimuli, dt=network.dt)
        with Simulation(part, seed=seed, communicator=communicator) as simulation:
            simulation.run(options.warmup)
            before = simulation.counted()
            simulation.run(options.time)
            costs = _costs(before, simulation.counted(), _neuron_steps(part, options))
        if "neuron" in costs:
            found[name] = costs["neuron"]
    return found if len(found) == len(names) else {}


def _scaled(of_models: dict[str, float], network: Network, mean: float) -> dict[str, float]:
    """Return costs of models that are, of all neurons of the network, what these took together."""
    sizes = dict.fromkeys(of_models, 0)
    for one in network.populations:
        if one.model.name in sizes:
            sizes[one.model.name] += one.size
    alone = sum(of_models[name] * size for name, size in sizes.items()) / sum(sizes.values())
    return {name: round(mean * cost / alone, 4) for name, cost in of_models.items()}


def _costs(before: Counted, after: Counted, neuron_steps: float) -> dict[str, float]:
    """Return what a neuron's step and an event took between two counts, ns, if there were any."""
    numbers = {
        "neuron": ("update", neuron_steps),
        "event": ("deliver", float(after.events - before.events)),
    }
    found = {}
    for name, (phase, number) in numbers.items():
        spent_s = sum(after.phases[phase]) - sum(before.phases[phase])
        if number and spent_s > 0.0:
            found[name] = round(1e9 * spent_s / number, 4)
    return {name: cost for name, cost in found.items() if cost}
