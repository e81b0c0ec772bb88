#!/usr/bin/env python3
"""Kill runs at random moments, resume them on other ranks, and compare them with one left alone.

``python benchmarks/kills.py --kills 100`` starts a run with ``--resume auto``, sends SIGKILL or
SIGTERM to a random rank (or to the command itself) at a random moment, and starts it again on
another number of ranks and with another partition, until it is complete; then the next run. It
prints one line of JSON: kills survived, spikes lost or duplicated, stores whose recordings or
states differ, jobs that hung, and the seconds from a death to the end of its job. With
``--scripted`` the script `kills_script.py` runs trials: it changes parameters and weights, switches
recordings, and resets the network.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from distsnn.comm import mpiexec_path
from distsnn.io.checkpoint_files import generations
from distsnn.io.checkpoint_reader import CheckpointReader
from distsnn.io.reader import StoreReader
from distsnn.partition.assignment import STRATEGIES

MODEL = Path(__file__).with_name("kills_model.py")
SCRIPT = Path(__file__).with_name("kills_script.py")
PARTITIONS = (*STRATEGIES, "graph")
HUNG_AFTER = 10.0  # s, from a death to the end of its job
_RANK = (b"PMI_RANK=", b"OMPI_COMM_WORLD_RANK=")


@dataclass
class Result:
    """What a campaign has come to.

    Attributes
    ----------
    kills, terminations : int
        SIGKILLs and SIGTERMs that reached a job before its end.
    runs, attempts : int
        Runs completed, and starts that they took.
    lost, duplicated, different : int
        Spikes, spikes, and stores whose recordings or last saved states differ from those of the
        run left alone.
    hung : int
        Jobs that did not end in time.
    ending_s : list of float
        From each SIGKILL to the end of its job.
    """

    kills: int = 0
    terminations: int = 0
    runs: int = 0
    attempts: int = 0
    lost: int = 0
    duplicated: int = 0
    different: int = 0
    hung: int = 0
    ending_s: list[float] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """Return it with the median and the maximum in place of all times."""
        found = asdict(self)
        times = found.pop("ending_s")
        found["ending_median_s"] = round(statistics.median(times), 2) if times else None
        found["ending_max_s"] = round(max(times), 2) if times else None
        return found


def command(folder: Path, ranks: int, options: argparse.Namespace, *more: str) -> list[str]:
    """Return the command line of one attempt of a run, which records to stores in a folder."""
    if options.scripted:
        words = [mpiexec_path(), "-n", str(ranks), sys.executable, str(SCRIPT), str(folder)]
        return [*words, "--time", str(options.time), "--every", str(options.every), *more]
    out = folder / "run.zarr"
    words = [sys.executable, "-m", "distsnn", "run", str(MODEL), "--time", str(options.time)]
    words += ["--out", str(out), "--ranks", str(ranks), "--seed", "3", "--quiet"]
    return [*words, "--resume", "auto", "--checkpoint-every", f"{options.every}ms", *more]


def ranks_of(pid: int) -> list[int]:
    """Return the processes below one that are MPI ranks."""
    found = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(c) for task in tasks for c in (task / "children").read_text().split()]
    except OSError:
        return []
    for child in children:
        try:
            variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(one.startswith(_RANK) for one in variables):
            found.append(child)
        else:
            found += ranks_of(child)
    return found


def recorded_values(reader: StoreReader) -> Iterator[tuple[str, bytes]]:
    """Yield all states and weights that a run recorded, and when each recording was on."""
    for name in reader.recordings:
        yield f"intervals of {name}", reader.intervals(name).tobytes()
    states = ((f"state/{name}", reader.state(name)) for name in reader.state_names)
    weights = ((f"weights/{name}", reader.weights(name)) for name in reader.weight_names)
    for name, recording in (*states, *weights):
        yield f"steps of {name}", recording.steps.tobytes()
        for variable, rows in recording.variables.items():
            yield f"{variable} of {name}", rows.load(0, rows.shape[0]).tobytes()


def last_state(path: Path) -> tuple[int, str]:
    """Return the step of a run's newest checkpoint, and the digest of the state in it."""
    about = CheckpointReader.open(path, generations(path)[0]).attributes
    return about["step"], about["digest"]


def compare(out: Path, whole: Path, result: Result) -> None:
    """Count what a store has lost, has twice, or has otherwise than that of the run left alone."""
    records, readers = [], [StoreReader(path) for path in (out, whole)]
    for reader in readers:
        step, gid = reader.spikes()
        records.append(step.astype(np.int64) << 32 | gid)
    mine, expected = records
    result.lost += int(np.setdiff1d(expected, mine).size)
    result.duplicated += int(mine.size - np.unique(mine).size)
    same = np.array_equal(mine, expected) and last_state(out) == last_state(whole)
    values, expected_values = map(recorded_values, readers)
    same = same and list(values) == list(expected_values)
    result.different += not same


def attempt(
    folder: Path, chance: random.Random, options: argparse.Namespace, result: Result
) -> bool:
    """Start a run, send a signal at a random moment; return whether it is complete."""
    ranks = chance.choice((2, 3, 4))
    words = command(folder, ranks, options, "--strategy", chance.choice(PARTITIONS))
    log = folder.parent / "attempts.log"
    with log.open("ab") as stream:
        job = subprocess.Popen(words, stdout=stream, stderr=stream, start_new_session=True)
        result.attempts += 1
        # over start-up, building or restoring, running with many checkpoints, and closing
        enough = result.kills + result.terminations >= options.kills
        moment = None if enough else chance.uniform(0.0, options.longest)
        try:
            code: int | None = job.wait(moment)
        except subprocess.TimeoutExpired:
            code = None
        if code is None:
            number = chance.choice((signal.SIGKILL, signal.SIGTERM))
            victims = ranks_of(job.pid) or [job.pid]
            victim = chance.choice(victims)
            begin = time.monotonic()
            try:
                os.kill(victim, number)
            except ProcessLookupError:
                victim = 0
            try:
                # a command that is killed itself leaves its job behind: it ends with it
                code = job.wait(options.hung_after if number == signal.SIGKILL else 60.0)
                if victim and number == signal.SIGKILL:
                    result.kills += 1
                    result.ending_s.append(time.monotonic() - begin)
                elif victim:
                    result.terminations += 1
            except subprocess.TimeoutExpired:
                result.hung += 1
        for left in (*ranks_of(job.pid), job.pid):
            try:
                os.kill(left, signal.SIGKILL)
            except ProcessLookupError:
                continue
        job.wait()
    return code == 0


def campaign(folder: Path, options: argparse.Namespace) -> Result:
    """Kill and resume until there were enough kills, and the last run is complete."""
    whole = folder / "whole"
    if whole.exists():
        raise SystemExit(f"{folder} holds runs of an earlier campaign: name another folder")
    short = argparse.Namespace(time=8.0, every=1.0, scripted=options.scripted)
    # first what compiles all kernels: the next one tells how long a run takes
    for first in ("compiled", "whole"):
        (folder / first).mkdir()
    subprocess.run(command(folder / "compiled", 2, short), check=True)
    begin = time.monotonic()
    subprocess.run(command(whole, 2, options), check=True)
    if options.longest is None:
        options.longest = 1.3 * (time.monotonic() - begin)
    chance, result = random.Random(options.seed), Result()
    while result.kills + result.terminations < options.kills:
        out = folder / f"run{result.runs:04d}"
        out.mkdir()
        while not attempt(out, chance, options, result):
            if options.verbose:
                print(json.dumps(result.to_dict()), file=sys.stderr, flush=True)
        for store in sorted(whole.iterdir()):
            compare(out / store.name, store, result)
        result.runs += 1
    return result


def main() -> int:
    """Run the command line; the exit code is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="signals to survive")
    parser.add_argument("--time", type=float, default=2000.0, help="biological time, ms")
    parser.add_argument("--scripted", action="store_true", help="run the trials of a script")
    parser.add_argument("--every", type=float, default=50.0, help="ms between checkpoints")
    parser.add_argument("--longest", type=float, help="latest moment of a signal, s")
    parser.add_argument("--hung-after", type=float, default=HUNG_AFTER, help="s")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and victims")
    parser.add_argument("--folder", type=Path, help="where the runs are left")
    parser.add_argument("--verbose", action="store_true", help="tell after each attempt")
    options = parser.parse_args()
    if round(options.time / options.every, 6) % 1.0:
        parser.error("--time must be a multiple of --every: the last states are compared")
    with tempfile.TemporaryDirectory(prefix="distsnn-kills-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = campaign(folder, options)
    print(json.dumps(result.to_dict()))
    return int(any((result.lost, result.duplicated, result.different, result.hung)))


if __name__ == "__main__":
    sys.exit(main())
