"""Saving a simulation, and resuming it on any number of ranks."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, collective_phase
from distsnn.engine import snapshot
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import spikes_per_step
from distsnn.errors import DescriptionError, RecordingError, StoreError, UsageError, printable
from distsnn.io.checkpoint_files import generations
from distsnn.io.checkpoint_reader import CheckpointReader
from distsnn.io.checkpoint_writer import CheckpointWriter
from distsnn.io.reader import StoreReader
from distsnn.io.run_lock import RunLock
from distsnn.io.run_writer import create_state_store, write_script_changes
from distsnn.network import Network
from distsnn.simulation.build import BuildResult, SimulationSettings, network_digest
from distsnn.simulation.recorder import metadata
from distsnn.simulation.saved_states import check_declared, read_states

Note = Callable[[str], None]
_MOST_DIFFERENCES = 5
# How long another process may take to save, s.
_PATIENCE_S = 60.0
# What spikes may depend on, and what stores are written with.
_VERSIONS = ("distsnn", "python", "numpy", "numba", "zarr")


class CheckpointManager:
    """Saves and restores a simulation. Every method is collective.

    Parameters
    ----------
    network : Network
        The network.
    seed : int
        The run's seed.
    built : BuildResult
        The engine and what goes with it.
    communicator : Communicator
        The ranks.
    versions : dict
        Versions of distsnn and of what it runs on.
    """

    def __init__(
        self,
        network: Network,
        seed: int,
        built: BuildResult,
        communicator: Communicator,
        versions: dict[str, str],
    ) -> None:
        self._communicator, self._built, self._network = communicator, built, network
        self._about: dict[str, Any] = {
            "dt": network.dt,
            "seed": seed,
            "ranks": communicator.size,
            "versions": versions,
        }
        self._wiring: npt.NDArray[np.uint64] | None = None
        # by store: a generation known to be whole
        self._good: dict[Path, int] = {}

    def save(
        self,
        store: Path,
        spikes: list[int],
        run_s: float,
        attempt: int,
        scripted: list[str],
        recordings: dict[str, Any],
    ) -> tuple[int, float]:
        """Write a new generation into a run's store and remove all but one before it.

        Parameters
        ----------
        store : Path
            The store, a resolved path.
        spikes : list of int
            Spikes of recorded neurons so far, of all ranks, by population.
        run_s : float
            Wall time of running so far, s.
        attempt : int
            The attempt that is recording into the store, or -1.
        scripted : list of str
            Names of all that a script has set.
        recordings : dict
            Recordings that a script switched, JSON-able.

        Returns
        -------
        (int, float)
            The generation's number, and the wall time it took, s.

        Raises
        ------
        RecordingError
            If it cannot be written; the generations before it are left as they were.
        """
        begin = time.perf_counter()
        communicator, rank = self._communicator, self._communicator.rank
        wiring = self._synapse_digests()
        with collective_phase(communicator, "saving the state"):
            saved_snapshot = snapshot.take_snapshot(self._built.engine)
        parts = communicator.gather((saved_snapshot.blocks, saved_snapshot.digests, wiring))
        number = 0
        with collective_phase(communicator, "saving the state"), _as_recording_error():
            number = 1 + max(generations(store), default=0) if rank == 0 else 0
        number = communicator.bcast(number)
        writer = CheckpointWriter(store, number)
        with collective_phase(communicator, "saving the state"), _as_recording_error():
            if parts is not None:
                if "network" not in self._about:
                    self._about["network"] = network_digest(self._network)
                blocks = self._index(parts)
                digest = hashlib.sha256(blocks["digest"].tobytes()).hexdigest()
                state = {
                    "step": saved_snapshot.step,
                    "max_delay_steps": self._built.max_delay_steps,
                    "digest": digest,
                }
                state["fields"] = [asdict(field) for field in snapshot.fields(self._built.engine)]
                so_far = {
                    "recorded_spike_counts": spikes,
                    "run_s": run_s,
                    "attempt": attempt,
                    "script_changes": scripted,
                }
                so_far |= {"recordings": recordings} if recordings else {}
                writer.write_index(self._about | state | so_far, blocks)
        seal = ""
        try:
            with collective_phase(communicator, "saving the state"), _as_recording_error():
                seal = writer.write_rank(rank, saved_snapshot.states, saved_snapshot.spikes)
            seals = communicator.gather(seal)
            with collective_phase(communicator, "saving the state"), _as_recording_error():
                if seals is not None:
                    writer.finish(seals)
        except Exception:
            if rank == 0:
                writer.discard()
            raise
        if rank == 0:
            writer.prune(self._good.get(store))
        self._good[store] = number
        spent_us = round(1e6 * (time.perf_counter() - begin))
        return number, 1e-6 * communicator.allreduce_max(spent_us)

    def load(self, generation: CheckpointReader) -> None:
        """Set all ranks' states to a generation's, which must be of this network.

        Raises
        ------
        StoreError
            If the checkpoint is corrupt.
        DescriptionError
            If the synapses were drawn differently when it was saved.
        """
        communicator, engine = self._communicator, self._built.engine
        layout, attributes = engine.layout, generation.attributes
        with collective_phase(communicator, "reading the checkpoint"):
            index = generation.blocks(layout.blocks.n_blocks)
            _check_index(generation, layout, index)
        wiring = self._synapse_digests()
        with collective_phase(communicator, "comparing the synapses"):
            other = np.flatnonzero(wiring != index["wiring"][layout.owned_blocks])
            if other.size:
                block = int(layout.owned_blocks[other[0]])
                name = layout.network.populations[int(layout.blocks.population[block])].name
                raise DescriptionError(
                    "the synapses differ from those of the checkpoint; possible causes: another "
                    "version of distsnn, a faulty machine",
                    where=f"{generation.folder}, population {name!r}, block {block}",
                )
        with collective_phase(communicator, "reading the checkpoint"):
            if attributes["max_delay_steps"] != engine.max_delay:
                raise StoreError("corrupt: the longest delay", path=str(generation.folder))
            check_declared(generation, engine)
            states = read_states(generation, engine, index["rank"])
            ranks = range(communicator.rank, generation.ranks, communicator.size)
            max_spikes = sum(
                spikes_per_step(population) * population.size
                for population in layout.network.populations
            )
            local_spikes = [
                generation.spikes(rank, max_spikes * engine.max_delay) for rank in ranks
            ]
        all_spikes = [pair for part in communicator.allgather(local_spikes) for pair in part]
        step = np.concatenate([step for step, _ in all_spikes])
        gid = np.concatenate([gid for _, gid in all_spikes])
        order = np.lexsort((gid, step))
        with collective_phase(communicator, "restoring the state"):
            _check_spikes(generation, layout, step, gid)
            try:
                snapshot.restore_snapshot(
                    engine, states, int(attributes["step"]), (step[order], gid[order])
                )
            except (IndexError, ValueError) as error:
                raise StoreError(f"corrupt: {error}", path=str(generation.folder)) from error
            current = snapshot.take_snapshot(engine)
            if not np.array_equal(current.digests, index["digest"][layout.owned_blocks]):
                raise StoreError(
                    "corrupt: states are not those that were saved", path=str(generation.folder)
                )
        self._good[generation.store.resolve()] = generation.number

    def _synapse_digests(self) -> npt.NDArray[np.uint64]:
        """Return the digests of this rank's synapses, which are worked out once. Collective."""
        if self._wiring is None:
            with collective_phase(self._communicator, "checking the synapses"):
                self._wiring = snapshot.synapse_digests(self._built.engine)
        assert self._wiring is not None
        return self._wiring

    def _index(self, parts: list[Any]) -> dict[str, npt.NDArray[Any]]:
        layout = self._built.engine.layout
        digest = np.zeros((layout.blocks.n_blocks, snapshot.DIGEST_BYTES), np.uint8)
        wiring = np.zeros(layout.blocks.n_blocks, np.uint64)
        for blocks, digests, synapses in parts:
            digest[blocks], wiring[blocks] = digests, synapses
        return {"rank": layout.assignment.owner, "digest": digest, "wiring": wiring}


@contextmanager
def _as_recording_error() -> Iterator[None]:
    """Convert a StoreError to a RecordingError: the request was valid."""
    try:
        yield
    except RecordingError:
        raise
    except StoreError as error:
        raise RecordingError(f"checkpoint: {error.problem}", path=error.path) from error


def note_versions(generation: CheckpointReader, current: dict[str, str], note: Note) -> None:
    """Report it if a checkpoint was saved with other versions of distsnn or libraries."""
    stored = {
        name: printable(str(value)) for name, value in generation.attributes["versions"].items()
    }
    other = [name for name in _VERSIONS if stored.get(name, "unknown") != current[name]]
    if other:
        saved = ", ".join(f"{name} {stored.get(name, 'unknown')[:40]}" for name in other)
        running = ", ".join(f"{name} {current[name]}" for name in other)
        note(
            f"checkpoint {generation.number} was saved with {saved}; this is {running}: "
            "spikes may differ from a run with one version"
        )


def check_checkpoint_store(store: Path, network: Network, seed: int) -> None:
    """Check that a simulation's state may be saved into a store that exists.

    Raises
    ------
    DescriptionError
        If it belongs to another network or seed, or to a run.
    """
    reader = StoreReader(store)
    differences = list(_differences(reader.metadata["seed"], seed, "seed"))
    differences += _network_differences(reader, network)
    if differences:
        raise DescriptionError(f"is of another network: {differences[0]}", where=str(store))
    if reader.attempts:
        raise UsageError(
            "the store contains a run of its own",
            where=str(store),
            hint="choose a new path, or a store that `save` wrote",
        )


@contextmanager
def locked_state_store(
    path: Path,
    network: Network,
    settings: SimulationSettings,
    built: BuildResult,
    communicator: Communicator,
    *,
    model: dict[str, Any] | None,
    scripted: list[str],
) -> Iterator[None]:
    """Lock a store of saved states alone, which is created if it does not exist (on rank 0).

    Processes that save into one store do so in turn.

    Parameters
    ----------
    path : Path
        The store.
    network, settings, built, communicator, model
        As for a run's `metadata`.
    scripted : list of str
        Names that a script has set so far, stored as in a run.

    Raises
    ------
    DescriptionError
        If the store belongs to another network or seed, or to a run.
    StoreError
        If it cannot be read or written, or another process writes to it all the time.
    """
    if path.exists():  # an invalid store is refused before the lock is awaited
        check_checkpoint_store(path, network, settings.seed)
    lock = RunLock(path, _PATIENCE_S)
    try:
        if path.exists():
            check_checkpoint_store(path, network, settings.seed)
        else:
            attributes = metadata(network, settings, built, communicator, model)
            create_state_store(path, attributes, network.to_dict())
        if scripted:
            write_script_changes(path, scripted)
        yield
    finally:
        lock.release()


def _network_differences(reader: StoreReader, network: Network) -> list[str]:
    stored, current = reader.network(), network.to_dict()
    differences = list(_differences(stored[0], current[0], ""))
    differences += [
        f"array {name!r} differs"
        for name in sorted({*stored[1], *current[1]})
        if not np.array_equal(stored[1].get(name, _NONE), current[1].get(name, _NONE))
    ]
    return differences


def same_run(reader: StoreReader, network: Network, seed: int) -> bool:
    """Return whether a store is of this network and seed."""
    return int(reader.metadata["seed"]) == seed and not _network_differences(reader, network)


def check_same_network(generation: CheckpointReader, network: Network, seed: int) -> None:
    """Check that a checkpoint is one of this network.

    Raises
    ------
    DescriptionError
        If not; it names the differences.
    """
    attributes, differences = generation.attributes, []
    if attributes["dt"] != network.dt:
        differences.append(f"dt is {attributes['dt']} ms there, {network.dt} ms here")
    if attributes["seed"] != seed:
        differences.append(f"seed is {attributes['seed']} there, {seed} here")
    if attributes["network"] != network_digest(network):
        differences += _network_differences(
            StoreReader(generation.store, skip_damaged_attempts=True), network
        )
        if not differences:
            differences.append("it does not belong to its store")
    if differences:
        suffix = f" and {len(differences) - _MOST_DIFFERENCES} more"
        raise DescriptionError(
            "the checkpoint is of another network: "
            + "; ".join(differences[:_MOST_DIFFERENCES])
            + (suffix if len(differences) > _MOST_DIFFERENCES else ""),
            where=str(generation.folder),
        )


_NONE = np.empty(0)


def _differences(stored: Any, current: Any, path: str) -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(current, dict):
        for name in sorted({*stored, *current}):
            place = f"{path}/{name}" if path else name
            if name not in current:
                yield f"{place} is {_short(stored[name])} there, and is not here"
            elif name not in stored:
                yield f"{place} is {_short(current[name])} here, and is not there"
            else:
                yield from _differences(stored[name], current[name], place)
    elif isinstance(stored, list) and isinstance(current, list) and len(stored) == len(current):
        for index, (left, right) in enumerate(zip(stored, current, strict=True)):
            yield from _differences(left, right, f"{path}/{index}")
    elif stored != current:
        yield f"{path} is {_short(stored)} there, {_short(current)} here"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_index(
    generation: CheckpointReader, layout: LocalLayout, index: dict[str, npt.NDArray[Any]]
) -> None:
    n, ranks = layout.blocks.n_blocks, index["rank"]
    fits = all(len(values) == n for values in index.values())
    fits = fits and index["digest"].shape == (n, snapshot.DIGEST_BYTES)
    counts = generation.attributes["recorded_spike_counts"]
    fits = fits and len(counts) == len(layout.network.populations)
    fits = fits and all(isinstance(values, int) for values in counts)
    if not fits or ranks.min() < 0 or ranks.max() >= generation.ranks:
        raise StoreError("corrupt: blocks of another network", path=str(generation.folder))


def _check_spikes(
    generation: CheckpointReader,
    layout: LocalLayout,
    step: npt.NDArray[np.int32],
    gid: npt.NDArray[np.uint32],
) -> None:
    # Kernels do not check gids: a value that is not a neuron must not reach them.
    saved_step, reach = (
        int(generation.attributes["step"]),
        int(generation.attributes["max_delay_steps"]),
    )
    fits = True
    if step.size:
        fits = gid.max() < layout.network.n_neurons and saved_step - reach < step.min()
        fits = fits and step.max() <= saved_step
    if not fits:
        raise StoreError("corrupt: spikes that cannot be in flight", path=str(generation.folder))
