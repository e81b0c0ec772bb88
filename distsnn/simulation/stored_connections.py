"""Connections of a recorded run: drawn again, recorded, or of its newest checkpoint."""

from pathlib import Path
from typing import TypeAlias

import numpy as np

from distsnn.comm import SingleProcess
from distsnn.engine.connection_table import Table, make_table
from distsnn.engine.layout import LocalLayout
from distsnn.errors import DescriptionError, StoreError
from distsnn.io.checkpoint_files import generations
from distsnn.io.reader import StoreReader
from distsnn.io.weight_reader import WeightRecording
from distsnn.network import Network, Projection, RecordWeights, Target
from distsnn.network.blocks import make_blocks
from distsnn.network.quanta import WeightQuanta
from distsnn.partition.assignment import make_assignment
from distsnn.simulation.build import compile_wiring_kernels
from distsnn.simulation.connection_access import (
    Limits,
    connection_limits,
    described_connections,
    in_order,
    is_within,
)
from distsnn.simulation.newest_checkpoint import saved_step
from distsnn.simulation.orchestrator import Simulation

# What limits the connections that are asked for.
Neurons: TypeAlias = Target
Named: TypeAlias = str | Projection
# Neither a recording nor a checkpoint.
_NOT_STORED = -1


def stored_connections(
    reader: StoreReader,
    projection: Named,
    source: Neurons | None = None,
    target: Neurons | None = None,
    step: int | None = None,
) -> Table:
    """Return a projection's connections as a store has them; see `Run.connections`.

    Parameters
    ----------
    reader : StoreReader
        The store.
    projection : str or Projection
        The projection, or its name.
    source, target : Population, PopulationView or str, optional
        Neurons to which the connections are limited.
    step : int, optional
        The last step that counts.

    Raises
    ------
    DescriptionError
        If the projection does not exist or does not connect these neurons, or the store has no
        values of its synapses.
    StoreError
        If the store is corrupt.
    """
    network = Network.from_dict(*reader.network())
    where = f"connections, run {reader.path}"
    name = network.name_of(projection, where=where)
    described = network.projection(name, where=where)
    limits = connection_limits(network, name, source, target)
    checkpoint_step = _checkpoint_step(reader.path, step)
    may_have_changed = described.plasticity_rule is not None
    may_have_changed |= name in reader.metadata.get("script_changes", [])
    recorded = None
    if described.plasticity_rule is not None:
        recorded = _newest_recorded(reader, network, name, limits, step)
    if recorded is not None and int(recorded[0].steps[recorded[1]]) > checkpoint_step:
        return _recorded_table(network, *recorded, limits, reader.dt)
    if described.synapse is None and not may_have_changed:
        return _drawn_again(reader, network, name, limits)
    if checkpoint_step != _NOT_STORED:
        # static synapses take no memory where they are drawn at each spike
        with Simulation.restore(
            *(reader.path,),
            network=network,
            partition="contiguous",
            storage="procedural",
            communicator=SingleProcess(),
        ) as simulation:
            table: Table = simulation[name].connections(source, target)
            return table
    if may_have_changed:
        raise _not_stored(reader, network, name, step)
    return _drawn_again(reader, network, name, limits)


def _checkpoint_step(store: Path, step: int | None) -> int:
    """Return the step of the newest checkpoint, if it is not later than a step."""
    numbers = generations(store)
    saved = saved_step(store, numbers) if numbers else _NOT_STORED
    return saved if step is None or saved <= step else _NOT_STORED


def _drawn_again(reader: StoreReader, network: Network, projection: str, limits: Limits) -> Table:
    """Return connections of a static projection, with described weights."""
    compile_wiring_kernels()
    blocks = make_blocks(network)
    layout = LocalLayout(network, blocks, make_assignment(blocks, 1, "contiguous"), 0)
    try:
        quanta = WeightQuanta.from_dict(reader.metadata["quanta"])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"corrupt: quanta: {error}", path=str(reader.path)) from error
    seed = int(reader.metadata["seed"])
    return in_order(
        described_connections(layout, quanta, seed, SingleProcess(), projection, limits)
    )


def _newest_recorded(
    reader: StoreReader,
    network: Network,
    projection: str,
    limits: Limits,
    step: int | None,
) -> tuple[WeightRecording, int] | None:
    """Return the recording with the newest sample of all these synapses, and the sample's row."""
    candidates = []
    for recording in network.recordings:
        if (
            isinstance(recording, RecordWeights)
            and recording.projection == projection
            and _has_all(recording, limits)
        ):
            stored = reader.weights(str(recording.name))
            rows = int(np.sum(stored.steps <= (reader.last_step if step is None else step)))
            if rows:
                newest = int(stored.steps[rows - 1])
                candidates.append((newest, len(stored.variables), stored, rows - 1))
    if not candidates:
        return None
    *_, stored, row = max(candidates, key=lambda candidate: candidate[:2])
    return stored, row


def _has_all(recording: RecordWeights, limits: Limits) -> bool:
    """Return whether a recording has the weights of all synapses between some neurons."""
    if "weight" not in recording.variables or not recording.synapses.selects_all:
        return False
    return all(
        view is None or view.n_shared(limit) == limit.size
        for view, limit in zip((recording.sources, recording.targets), limits, strict=True)
    )


def _recorded_table(
    network: Network, recording: WeightRecording, row: int, limits: Limits, dt: float
) -> Table:
    """Return the connections in a sample of a recording, whose synapses are in order."""
    inside = is_within(network, limits, recording.sources, recording.targets)
    values = {
        name: array.load(row, row + 1)[0, inside] for name, array in recording.variables.items()
    }
    weights = values.pop("weight").astype(np.float64)
    delays = recording.delays[inside].astype(np.float64) * dt
    return make_table(recording.sources[inside], recording.targets[inside], weights, delays, values)


def _not_stored(
    reader: StoreReader, network: Network, projection: str, step: int | None
) -> DescriptionError:
    """Return the error of synapses whose values the store does not have."""
    is_plastic = network.projection(projection).plasticity_rule is not None
    record = f"record them, RecordWeights({projection!r}, interval=...), or " if is_plastic else ""
    reason = "the projection is plastic" if is_plastic else "a script has set values of it"
    when = "" if step is None else f" up to {step * reader.dt:g} ms"
    return DescriptionError(
        f"the store has no weights of all these synapses{when}, and {reason}",
        where=f"connections of {projection!r}, run {reader.path}",
        hint=f"{record}save a checkpoint, simulation.save()",
    )
