"""``distsnn profile``: rates and costs of a network from a short run, for partitioning."""

import json
from argparse import Namespace
from pathlib import Path

from distsnn.cli.models import load_model
from distsnn.comm import Communicator, together
from distsnn.errors import DescriptionError
from distsnn.simulation import Simulation
from distsnn.simulation.run_summary import Counted


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command. Collective."""
    with together(communicator, "making the network"):
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
        spikes = {one.name: simulation.spike_counts(one).sum() for one in populations}
    per_second = 1e3 / options.time
    rates = {one.name: per_second * float(spikes[one.name]) / one.size for one in populations}
    neuron_steps = model.network.n_neurons * options.time / model.network.dt
    costs = _costs(before, after, neuron_steps)
    with together(communicator, "writing rates"):
        if communicator.rank == 0:
            text = json.dumps({"rates": rates, "cost": costs}, indent=2)
            if options.out is None:
                print(text)
            else:
                Path(options.out).write_text(text + "\n")
    return 0


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
