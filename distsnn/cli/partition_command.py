"""``distsnn partition``: metrics of strategies that assign a network to ranks."""

import json
from argparse import Namespace

from distsnn.cli.function_calls import call_function, option_errors
from distsnn.cli.tables import columns
from distsnn.comm import Communicator
from distsnn.errors import printable
from distsnn.partition.metrics import AssignmentMetrics
from distsnn.tools.models import load_model
from distsnn.tools.partition_comparison import compare_partitions

_HEADS = (
    *("strategy", "kind", "imbalance", "pairs source-rank", "spike-rank /s", "synapses cut"),
    *("rank pairs", "groups", "epoch ms", "exchanges /s", "MB/s a rank", "MB a rank"),
)


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank != 0:
        return 0
    with option_errors(options):
        model = load_model(options.model, options.set, repeatable=False)
    network = options.model if model.metadata["kind"] == "run" else model.network
    all_metrics = call_function(compare_partitions, options, network)
    if options.json:
        print(json.dumps([metrics.to_dict() for metrics in all_metrics], indent=2))
    else:
        lines = columns(_HEADS, [_row(metrics) for metrics in all_metrics])
        print("\n".join(map(printable, lines)))  # a stored strategy may be any text
    return 0


def _row(metrics: AssignmentMetrics) -> tuple[str, ...]:
    return (
        metrics.strategy,
        metrics.kind,
        f"{100.0 * metrics.imbalance:.1f} %",
        f"{metrics.source_rank_pairs:,.0f}",
        f"{metrics.remote_spike_rate:,.0f}",
        f"{metrics.cut_synapses:,.0f}",
        f"{metrics.connected_rank_pairs}",
        _sizes(metrics.groups),
        _global_and_group(
            f"{metrics.epoch_steps * metrics.dt:g}" if metrics.epoch_steps else "-",
            f"{metrics.group_epoch_steps * metrics.dt:g}",
            metrics,
        ),
        _global_and_group(f"{metrics.exchanges:,.0f}", f"{metrics.group_exchanges:,.0f}", metrics),
        f"{1e-6 * metrics.bytes:.3g}",
        "-" if metrics.memory is None else f"{1e-6 * metrics.memory.max():,.0f}",
    )


def _sizes(groups: tuple[int, ...]) -> str:
    if not groups:
        return "-"
    is_uniform = len(set(groups)) == 1
    return f"{len(groups)} of {groups[0]}" if is_uniform else "+".join(map(str, groups))


def _global_and_group(global_text: str, group_text: str, metrics: AssignmentMetrics) -> str:
    """Return a value of all ranks, and the value of rank groups, if any."""
    return f"{global_text}, {group_text}" if metrics.groups else global_text
