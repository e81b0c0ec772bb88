"""Finds the checkpoint that a run is resumed from: whole, and with all recordings before it."""

import os
from collections.abc import Iterable
from contextlib import suppress
from operator import itemgetter
from pathlib import Path

from distsnn.comm import Communicator, collective_phase
from distsnn.errors import DescriptionError, StoreError
from distsnn.io.checkpoint_files import generations
from distsnn.io.checkpoint_reader import CheckpointReader, lost_generation
from distsnn.io.reader import StoreReader
from distsnn.network import Network
from distsnn.simulation.checkpoint import Note, check_same_network, note_versions
from distsnn.simulation.recorder import versions


def open_start(
    start: str | os.PathLike[str] | StoreReader,
    network: Network,
    seed: int,
    communicator: Communicator,
    note: Note,
    *,
    resumes: bool,
) -> tuple[CheckpointReader, StoreReader | None]:
    """Return the checkpoint to start from, of this network, and a reader of the run. Collective.

    Parameters
    ----------
    start : str, PathLike or StoreReader
        A run's store, or a reader of this rank's share of it.
    network : Network
        The network.
    seed : int
        The seed.
    communicator : Communicator
        The ranks.
    note : callable
        Takes messages about checkpoints that are not used, and about other versions.
    resumes : bool
        Whether the store's run continues; otherwise the reader is None.

    Raises
    ------
    StoreError
        If the store has no complete checkpoint.
    DescriptionError
        If the checkpoint is of another network.
    """
    store = start.path if isinstance(start, StoreReader) else Path(start)
    # a store that is recorded into is read under the lock
    reader = open_shared_reader(start, communicator) if resumes else None
    checkpoint = find_newest_checkpoint(store, communicator, note, reader)
    with collective_phase(communicator, "looking at the checkpoint"):
        if communicator.rank == 0:  # ranks compare their networks when they build
            check_same_network(checkpoint, network, seed)
            note_versions(checkpoint, versions(communicator), note)
    return checkpoint, reader


def find_newest_checkpoint(
    store: Path, communicator: Communicator, note: Note, reader: StoreReader | None = None
) -> CheckpointReader:
    """Return the newest generation that is whole, verified by all ranks together. Collective.

    Parameters
    ----------
    store : Path
        A run's store.
    communicator : Communicator
        The ranks.
    note : callable
        Takes a message about each generation that is not used.
    reader : StoreReader, optional
        This rank's share of the store, from `open_shared_reader`, if the store's run is resumed:
        all earlier steps must be recorded and valid.

    Raises
    ------
    StoreError
        If none exists.
    DescriptionError
        If it was written in another version's format.
    """
    with collective_phase(communicator, "looking for a checkpoint"):
        numbers = generations(store) if communicator.rank == 0 else []
        if reader is not None and communicator.rank == 0:
            lost = lost_generation(reader)
            if lost is not None:
                note(str(lost))
    numbers = communicator.bcast(numbers)
    for place, number in enumerate(numbers):
        generation: CheckpointReader | None = None
        damage: str | None = None
        left_out: str | None = None
        with collective_phase(communicator, "verifying the checkpoint"):
            try:
                generation = CheckpointReader.open(store, number)
                if communicator.rank == 0:
                    generation.verify_index()
                for rank in range(communicator.rank, generation.ranks, communicator.size):
                    generation.verify_rank(rank)
                if reader is not None:
                    older = numbers[place + 1 :]
                    left_out = _check_recorded(generation, reader, saved_step(store, older))
            except StoreError as error:
                damage = str(error)
        damages = [text for text in communicator.allgather(damage) if text is not None]
        if not damages:
            assert generation is not None
            if left_out is not None:
                note(left_out)
            return generation
        note(f"checkpoint {number} is not used: {damages[0]}")
    with collective_phase(communicator, "looking for a checkpoint"):
        raise StoreError("the store has no complete checkpoint to resume from", path=str(store))


def open_shared_reader(
    store: str | os.PathLike[str] | StoreReader, communicator: Communicator
) -> StoreReader:
    """Return a reader of this rank's share of a run to be resumed. Collective.

    A reader is returned as it is. Ranks agree on the attempts that are left out, the reason, and
    the complete step.

    Raises
    ------
    StoreError
        As `StoreReader` with `resuming`, or if ranks find different attempts.
    """
    if isinstance(store, StoreReader):
        return store
    with collective_phase(communicator, "reading the store"):
        share = communicator.rank, communicator.size
        reader = StoreReader(store, skip_damaged_attempts=True, share=share)
    while True:
        damage = None if reader.damage is None else (reader.damage.problem, reader.damage.path)
        counts = communicator.allgather((len(reader.attempts), damage))
        fewest, reason = min(counts, key=itemgetter(0))
        if reason is not None:
            reader.damage = StoreError(reason[0], path=reason[1])
        if all(count == fewest for count, _ in counts):
            break
        if reason is None:  # the same on all ranks
            raise StoreError(
                "changed while it was read: another job is writing it, or the file server is late",
                path=str(store),
            )
        with collective_phase(communicator, "reading the store"):
            if len(reader.attempts) > fewest:
                reader.leave_out(fewest, StoreError(reason[0], path=reason[1]))
    reader.complete_step = -communicator.allreduce_max(-reader.complete_step)
    return reader


def saved_step(store: Path, numbers: Iterable[int]) -> int:
    """Return the step of the first of some generations that can be opened; 0 if none can."""
    for number in numbers:
        with suppress(StoreError, DescriptionError):
            return int(CheckpointReader.open(store, number).attributes["step"])
    return 0


def _check_recorded(generation: CheckpointReader, reader: StoreReader, after: int) -> str | None:
    """Raise StoreError unless the run is recorded up to a checkpoint; each rank checks its share.

    The recordings are incomplete if a later attempt began before that step. A store without
    recordings passes.

    Parameters
    ----------
    generation : CheckpointReader
        The checkpoint.
    reader : StoreReader
        This rank's share of the store.
    after : int
        The step of the checkpoint before it. Chunks recorded later are read. Of older chunks, size
        and header are checked.

    Returns
    -------
    str or None
        A message about a later attempt that cannot be read, if the checkpoint is used.
    """
    attempt = len(reader.attempts)
    if reader.damage is not None and attempt <= generation.attributes["attempt"]:
        raise reader.damage
    step = generation.attributes["step"]
    if not reader.is_recorded_until(step):
        raise StoreError(
            f"the checkpoint is at step {step}, but the recordings are complete only up to step "
            f"{reader.complete_step}",
            path=str(generation.folder),
        )
    reader.verify(step, after=after)
    if reader.damage is None:
        return None
    return f"attempt {attempt} is ignored, because no checkpoint of it is used: {reader.damage}"
