"""Counters of a rank: connections to other ranks, and sent and received spikes."""

from typing import Any

from distsnn.simulation.build import BuildResult


def epoch_steps(built: BuildResult) -> dict[str, int]:
    """Return the maximum steps between exchanges of all ranks, and in groups (0: no groups)."""
    epochs = built.epochs
    inside = epochs.group_steps if epochs.in_groups else 0
    return {"epoch_steps": epochs.global_steps, "group_epoch_steps": inside}


def exchanges(built: BuildResult) -> dict[str, int]:
    """Return how often spikes were exchanged so far, among all ranks and inside groups."""
    exchange = built.exchange
    inside = None if exchange is None else exchange.group_counters
    return {
        "exchanges": 0 if exchange is None else exchange.counters.exchanges,
        "group_exchanges": 0 if inside is None else inside.exchanges,
    }


def rank_counts(built: BuildResult, start_step: int, spikes: int) -> dict[str, Any]:
    """Return what this rank has counted, as JSON-able data (`distsnn.io.schema`: `counters`).

    Parameters
    ----------
    built : BuildResult
        The rank's engine and what goes with it.
    start_step : int
        The step at which it began to run.
    spikes : int
        Spikes of its neurons since.
    """
    engine, exchange = built.engine, built.exchange
    counters: dict[str, Any] = {
        "steps": engine.step - start_step,
        "neurons": engine.layout.n_neurons,
        "synaptic_events": engine.events,
        "own_spikes": spikes,
        **epoch_steps(built),
        **exchanges(built),
        "received_spikes": 0,
        "received_bytes": 0,
        "group_received_spikes": 0,
    }
    if exchange is not None:
        inside = exchange.group_counters
        for level in (exchange.counters, *([] if inside is None else [inside])):
            counters["received_spikes"] += level.received_spikes
            counters["received_bytes"] += level.received_bytes
        counters["group_received_spikes"] = 0 if inside is None else inside.received_spikes
    wired = built.source_rank_counts
    if wired is not None:
        counters["sources"] = wired.sources.tolist()
        counters["synapses"] = wired.synapses.tolist()
        counters["min_delay"] = wired.smallest_delay.tolist()
        ranks = built.assignment.ranks
        counters["spikes_from_rank"] = (
            [0] * ranks if exchange is None else exchange.spikes_from_rank.tolist()
        )
    return counters
