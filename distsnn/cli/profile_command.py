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
        spikes = {
            population.name: simulation[population].spike_counts().sum()
            for population in populations
        }
    per_second = 1e3 / options.time
    rates = {
        population.name: per_second * float(spikes[population.name]) / population.size
        for population in populations
    }
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
    """Return the time per neuron and step of each model, ns, if there are several. Collective.

    The neurons of each model run separately, with their stimuli and without synapses, because the
    whole run has one clock for all updates. The result is empty unless all times are known, because
    together they make up the time of the whole network.
    """
    names = list(dict.fromkeys(population.model.name for population in network.populations))
    model_costs: dict[str, float] = {}
    for name in names if len(names) > 1 else ():
        with collective_phase(communicator, "making the network"):
            populations = [
                population for population in network.populations if population.model.name == name
            ]
            names_of_model = {population.name for population in populations}
            stimuli = [
                stimulus
                for stimulus in network.stimuli
                if stimulus.target.population in names_of_model
            ]
            part = Network(populations, [], stimuli, dt=network.dt)
        with Simulation(part, seed=seed, communicator=communicator) as simulation:
            simulation.run(options.warmup)
            before = simulation.counted()
            simulation.run(options.time)
            costs = _costs(before, simulation.counted(), _neuron_steps(part, options))
        if "neuron" in costs:
            model_costs[name] = costs["neuron"]
    return model_costs if len(model_costs) == len(names) else {}


def _scaled(of_models: dict[str, float], network: Network, mean: float) -> dict[str, float]:
    """Return costs of models that are, of all neurons of the network, what these took together."""
    sizes = dict.fromkeys(of_models, 0)
    for population in network.populations:
        if population.model.name in sizes:
            sizes[population.model.name] += population.size
    alone = sum(of_models[name] * size for name, size in sizes.items()) / sum(sizes.values())
    return {name: round(mean * cost / alone, 4) for name, cost in of_models.items()}


def _costs(before: Counted, after: Counted, neuron_steps: float) -> dict[str, float]:
    """Return what a neuron's step and an event took between two counts, ns, if there were any."""
    numbers = {
        "neuron": ("update", neuron_steps),
        "event": ("deliver", float(after.events - before.events)),
    }
    costs = {}
    for name, (phase, number) in numbers.items():
        spent_s = sum(after.phases[phase]) - sum(before.phases[phase])
        if number and spent_s > 0.0:
            costs[name] = round(1e9 * spent_s / number, 4)
    return {name: cost for name, cost in costs.items() if cost}
