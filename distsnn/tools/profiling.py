"""A profile of a network: rates and costs from a short run, for partitioning."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from distsnn.comm import Communicator, collective_phase, world
from distsnn.errors import UsageError
from distsnn.network import Network, Population, RecordSpikes
from distsnn.public_api import public_function
from distsnn.simulation import Simulation
from distsnn.simulation.run_summary import RunCounters
from distsnn.tools.profiles import Profile
from distsnn.units import to_steps


@public_function
def profile_network(
    network: Network,
    *,
    time: float = 200.0,
    warmup: float = 100.0,
    seed: int = 1,
    out: str | os.PathLike[str] | None = None,
    communicator: Communicator | None = None,
) -> Profile:
    """Measure the rates and costs of a network in a short run, for partitioning. Collective.

    If the network has several neuron models, the neurons of each also run alone.

    Parameters
    ----------
    network : Network
        The network.
    time : float
        Measured biological time, ms.
    warmup : float
        Biological time before that, ms.
    seed : int
        Seed of all random numbers.
    out : str or PathLike, optional
        Write the profile to this JSON file, which must not exist.
    communicator : Communicator, optional
        The ranks; by default all that the launcher started.

    Returns
    -------
    Profile
        Rate of each population, spikes/s, and costs, ns. `to_dict` returns what
        ``distsnn profile`` prints.

    Raises
    ------
    DescriptionError, UsageError
        If a time is not a multiple of the time step, nothing would be measured, the network cannot
        be built, or `out` exists or cannot be written.

    Examples
    --------
    >>> profile = profile_network(network, time=500.0)  # doctest: +SKIP
    >>> compare_partitions(network, ranks=8, rates=profile)  # doctest: +SKIP
    """
    communicator = communicator or world()
    with collective_phase(communicator, "checking the settings"):
        if to_steps(time, network.dt, where="time", error=UsageError) < 1:
            raise UsageError("nothing would be measured", where="time", value=time)
        if to_steps(warmup, network.dt, where="warmup", error=UsageError) < 0:
            raise UsageError("must not be negative", where="warmup", value=warmup)
        if communicator.rank == 0 and out is not None and Path(out).exists():
            raise UsageError("exists already", where="out", value=os.fspath(out))
    measure = partial(_measure, time=time, warmup=warmup, seed=seed, communicator=communicator)
    rates, costs = measure(network)
    with collective_phase(communicator, "making the network"):
        parts = _networks_of_models(network)
    model_costs = {name: measure(part)[1].get("neuron", 0.0) for name, part in parts.items()}
    cost: dict[str, Any] = costs
    # together the times of models make up the time of the network: all must be known
    if "neuron" in costs and model_costs and all(model_costs.values()):
        cost = costs | {"models": _scale_model_costs(model_costs, network, costs["neuron"])}
    profile = Profile(rates, cost)
    with collective_phase(communicator, "writing rates"):
        if communicator.rank == 0 and out is not None:
            try:
                Path(out).write_text(json.dumps(profile.to_dict(), indent=2) + "\n")
            except OSError as error:
                raise UsageError(
                    f"cannot be written: {error.strerror}", where="out", value=os.fspath(out)
                ) from error
    return profile


def _measure(
    network: Network, time: float, warmup: float, seed: int, communicator: Communicator
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the rate of each population, spikes/s, and costs, ns. Collective."""
    # counters count the spikes of recorded neurons; without a store nothing else is recorded
    recordings = tuple(RecordSpikes(population) for population in network.populations)
    network = replace(network, recordings=recordings)
    with Simulation(network, seed=seed, communicator=communicator) as simulation:
        simulation.run(warmup)
        before = simulation.counters()
        simulation.run(time)
        after = simulation.counters()
    rates = {}
    for population in network.populations:
        spikes = after.spikes[population.name] - before.spikes[population.name]
        rates[population.name] = 1e3 / time * spikes / population.size
    return rates, _costs(before, after, network.n_neurons * time / network.dt)


def _networks_of_models(network: Network) -> dict[str, Network]:
    """Return the neurons of each model with their stimuli, if there are several models.

    They run without synapses and separately, because a run has one clock for all updates.
    """
    populations: dict[str, list[Population]] = {}
    for population in network.populations:
        populations.setdefault(population.model.name, []).append(population)
    if len(populations) == 1:
        return {}
    networks = {}
    for model, members in populations.items():
        names = {population.name for population in members}
        stimuli = [stimulus for stimulus in network.stimuli if stimulus.target.population in names]
        networks[model] = Network(members, [], stimuli, dt=network.dt)
    return networks


def _scale_model_costs(
    model_costs: dict[str, float], network: Network, mean: float
) -> dict[str, float]:
    """Return costs of models, scaled so that their mean over neurons is the network's."""
    total = sum(
        model_costs[population.model.name] * population.size for population in network.populations
    )
    alone = total / network.n_neurons
    return {name: round(mean * cost / alone, 4) for name, cost in model_costs.items()}


def _costs(before: RunCounters, after: RunCounters, neuron_steps: float) -> dict[str, float]:
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
