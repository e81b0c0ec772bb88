"""Summary of a run in numbers."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from distsnn.comm import Communicator
from distsnn.simulation.build import BuildResult
from distsnn.simulation.phase_timer import PhaseTimer, peak_rss_bytes
from distsnn.simulation.recording_access import Recordings
from distsnn.simulation.spike_output import SpikeOutput


@dataclass(frozen=True)
class RunSummary:
    """Summary of a run in numbers.

    Attributes
    ----------
    path : str or None
        The run's store.
    neurons, synapses, ranks : int
        Sizes.
    time_ms : float
        Biological time, ms.
    build_s, run_s : float
        Wall time of building and of running, s.
    real_time_factor : float
        Wall time per biological time while running.
    spikes : int
        Spikes of recorded neurons since 0 ms; those before a checkpoint that it began from count,
        though a store that began there does not hold them.
    rates : dict of str to float
        Mean rate of each population's recorded neurons since 0 ms, spikes/s; None where none is
        recorded.
    peak_rss_bytes : list of int
        Largest resident memory of each rank.
    """

    path: str | None
    neurons: int
    synapses: int
    ranks: int
    time_ms: float
    build_s: float
    run_s: float
    real_time_factor: float
    spikes: int
    rates: dict[str, float | None]
    peak_rss_bytes: list[int]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


@dataclass(frozen=True)
class RunCounters:
    """Counts of what a simulation has done so far.

    Attributes
    ----------
    phases : dict of str to list of float
        Wall time by phase, of each rank, s: build, update, deliver, exchange, wait, record, total.
    spikes : dict of str to int
        Spikes of recorded neurons by population, of all ranks.
    events : int
        Synaptic events, of all ranks, since the simulation was made.
    exchanges, group_exchanges : int
        Exchanges of spikes among all ranks, and inside groups, since the simulation was made.
    plastic_synapses, plastic_bytes : int
        Synapses that learn, of all ranks, and the memory that they take: words, weights, states,
        sources' traces and targets' histories.
    """

    phases: dict[str, list[float]]
    spikes: dict[str, int]
    events: int
    exchanges: int
    group_exchanges: int
    plastic_synapses: int
    plastic_bytes: int


def count(
    built: BuildResult, output: SpikeOutput, times: PhaseTimer, communicator: Communicator
) -> RunCounters:
    """Return counters and times so far, between two run calls. Collective."""

    def total(numbers: Iterable[int]) -> int:
        return sum(communicator.allgather(sum(numbers)))

    phases = communicator.allgather(times.global_phases())
    spikes = output.counts.global_counts(communicator)
    plastic = built.engine.plastic
    return RunCounters(
        phases={phase: [phase_times[phase] for phase_times in phases] for phase in phases[0]},
        spikes=dict(zip(output.recorded.neurons, spikes, strict=True)),
        events=total([built.engine.events]),
        **built.exchange_counts(),
        plastic_synapses=total(projection.rows.synapses for projection in plastic),
        plastic_bytes=total(projection.nbytes for projection in plastic),
    )


def summarize(
    built: BuildResult,
    output: SpikeOutput,
    times: PhaseTimer,
    communicator: Communicator,
    recordings: Recordings,
) -> RunSummary:
    """Return what a run was. Collective."""
    network = built.engine.layout.network
    counts, time_ms = output.counts.global_counts(communicator), built.engine.step * network.dt
    steps = recordings.steps(built.engine.step)
    recorded_ms = {
        population.name: steps.get(f"spikes/{population.name}", 0) * network.dt
        for population in network.populations
    }
    return RunSummary(
        path=output.recorder.path if output.recorder is not None else None,
        neurons=network.n_neurons,
        synapses=built.synapses,
        ranks=communicator.size,
        time_ms=time_ms,
        **times.wall(time_ms),
        spikes=sum(counts),
        rates=output.recorded.rates(counts, recorded_ms),
        peak_rss_bytes=communicator.allgather(peak_rss_bytes()),
    )
