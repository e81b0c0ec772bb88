"""What a rank counts of its connections to the others, and of what it told and heard."""

from typing import Any

from distsnn.simulation.build import Built


def epoch_steps(built: Built) -> dict[str, int]:
    """Return most steps between exchanges of all ranks, and inside groups (0: there are none)."""
    epochs = built.epochs
    inside = epochs.inside if epochs.in_groups else 0
    return {"epoch_steps": epochs.between, "group_epoch_steps": inside}


def rank_counts(built: Built, first_step: int, spikes: int) -> dict[str, Any]:
    """Return what this rank has counted, as JSON-able data (`distsnn.io.schema`: `counted`).

    Parameters
    ----------
    built : Built
        The rank's engine and what goes with it.
    first_step : int
        The step at which it began to run.
    spikes : int
        Spikes of its neurons since.
    """
    engine, exchange = built.engine, built.exchange
    found: dict[str, Any] = {
        "steps": engine.step - first_step,
        "neurons": engine.layout.n_neurons,
        "events": engine.events,
        "spikes": spikes,
        **epoch_steps(built),
        "exchanges": 0,
        "received_spikes": 0,
        "received_bytes": 0,
        "group_exchanges": 0,
        "group_received_spikes": 0,
    }
    if exchange is not None:
        counters = exchange.counters
        found |= {
            "exchanges": counters.exchanges,
            "received_spikes": counters.received_spikes,
            "received_bytes": counters.received_bytes,
        }
        inside = exchange.group_counters
        if inside is not None:
            found |= {
                "group_exchanges": inside.exchanges,
                "group_received_spikes": inside.received_spikes,
            }
            found["received_spikes"] += inside.received_spikes
            found["received_bytes"] += inside.received_bytes
    wired = built.connections
    if wired is not None:
        found["sources"] = wired.sources.tolist()
        found["synapses"] = wired.synapses.tolist()
        found["smallest_delay"] = wired.smallest_delay.tolist()
        ranks = built.assignment.ranks
        found["heard"] = [0] * ranks if exchange is None else exchange.heard.tolist()
    return found
