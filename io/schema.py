"""The schema of a run store: all arrays, and all attributes of groups.

A store is written and read through this schema only (`distsnn.io.zarr_nodes`): an unlisted path,
dtype, dimension or attribute cannot be written, and a difference from the schema is an error on
reading.
``docs/store-format.md`` contains the schema.
"""

import re
from collections.abc import Mapping
from functools import cache

from distsnn.errors import DescriptionError, StoreError
from distsnn.io.schema_entries import ArraySpec, Attribute, GroupSpec

FORMAT = "distsnn-run"
FORMAT_VERSION = 7
CHECKPOINT_FORMAT = "distsnn-checkpoint"
CHECKPOINT_VERSION = 7

# The placeholders of path patterns. Names come from users, so they must not leave their group
# ("..") or collide with zarr's files.
_PLACEHOLDERS = {
    "attempt": r"\d{3,}",
    "rank": r"\d{4,}",
    "generation": r"\d{6,}",
    "dtype": r"[a-z0-9]+",
    "name": r"[^/]+",
    "variable": r"[^/]+",
    "path": r".+",
}
NUMBERS = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64"),
)
_ZERO: Mapping[str, float | int] = {}
_NAN: Mapping[str, float | int] = {"float32": float("nan"), "float64": float("nan")}
_LOWEST: Mapping[str, float | int] = {"int64": -(2**63)}

_ROWS = (
    Attribute("committed_rows", "int", "number of valid rows; the arrays may be longer"),
    Attribute("committed_step", "int", "all rows up to this step are committed"),
    Attribute("first_step", "int", "step of row 0, if the recording was on from the start"),
    Attribute("interval_steps", "int", "steps between rows"),
    Attribute("variables", "list", "names of the arrays"),
)

GROUPS: tuple[GroupSpec, ...] = (
    GroupSpec(
        "",
        "One run: everything that you need to read it and to repeat it.",
        (
            Attribute("format", "str", f"always {FORMAT!r}"),
            Attribute("format_version", "int", f"{FORMAT_VERSION}; other versions are refused"),
            Attribute("dt", "float", "time step, ms; the time of a spike at step s is s·dt"),
            Attribute("seed", "int", "seed of all random numbers"),
            Attribute("target_time_ms", "float", "requested biological time so far, ms"),
            Attribute("target_steps", "int", "requested biological time so far, steps"),
            Attribute("network", "dict", "network description, without its arrays"),
            Attribute("arrays", "list", "names of the arrays of the network description"),
            Attribute("attempts", "int", "number of attempts; a missing attempt is an error"),
            Attribute(
                "populations",
                "list",
                "table of populations in gid order: {name, first_gid, size, model, ...}",
            ),
            Attribute(
                "recorded_spikes",
                "list",
                "recorded views: {population, start, stop}, with neurons (a list in ascending "
                "order) if they are not consecutive",
            ),
            Attribute(
                "recorded_states",
                "list",
                "state recordings: {name, population, start, stop, variables, interval_steps}, "
                "with neurons as in recorded_spikes, projection if they are states of its synapse "
                "model, and reduce ('sum' or 'mean') if only that was recorded",
            ),
            Attribute(
                "recorded_weights",
                "list",
                "weight recordings: {name, projection, synapses (their number), variables, "
                "interval_steps}",
                required=False,
            ),
            Attribute(
                "quanta",
                "dict",
                "fixed-point scales of the weights; `errors`: rounding errors by projection, "
                "{projection, largest (relative error), share (of the weights, with a relative "
                "error above 2^-10), part (of the total of all absolute weights)}",
            ),
            Attribute(
                "versions", "dict", "versions of distsnn, Python and libraries at the first start"
            ),
            Attribute("complete", "bool", "every rank reached the end of the run"),
            Attribute(
                "wall_clock", "dict", "wall-clock times, s: build_s, run_s, ...", required=False
            ),
            Attribute("synapses", "int", "number of synapses", required=False),
            Attribute("created", "str", "time of day of the start, ISO 8601", required=False),
            Attribute("command", "list", "the command line", required=False),
            Attribute(
                "network_source",
                "dict",
                "model file or example of the network, with its settings",
                required=False,
            ),
            Attribute(
                "settings", "dict", "seed, strategies and epochs of the first attempt", False
            ),
            Attribute(
                "script_changes",
                "list",
                "names that a script changed during the run: stimuli, sources, populations "
                "(states or parameters), projections; the description does not contain the changes",
                required=False,
            ),
        ),
    ),
    GroupSpec("checkpoint", "Checkpoints of the run: at most two generations."),
    GroupSpec(
        "checkpoint/generation{generation}",
        "The state of the whole network after one step.",
        (
            Attribute("format", "str", f"always {CHECKPOINT_FORMAT!r}"),
            Attribute("format_version", "int", f"{CHECKPOINT_VERSION}; other versions are refused"),
            Attribute("step", "int", "step of the checkpoint"),
            Attribute("dt", "float", "time step, ms"),
            Attribute("seed", "int", "seed of all random numbers"),
            Attribute("network", "str", "SHA-256 of the network description"),
            Attribute("ranks", "int", "number of ranks that wrote it"),
            Attribute(
                "max_delay_steps", "int", "steps for which spikes are in flight: the maximum delay"
            ),
            Attribute(
                "recorded_spike_counts", "list", "spikes of recorded neurons so far, by population"
            ),
            Attribute("run_s", "float", "wall-clock time of the run so far, s"),
            Attribute("attempt", "int", "attempt that wrote it; -1: no attempt was recording"),
            Attribute(
                "fields",
                "list",
                "the state variables: {population, group (such as 'neurons', 'sources/PROJECTION' "
                "or 'synapses/PROJECTION'), name, owner, dtype, unit, size (values of each neuron, "
                "or for all), count_group (group of the variable 'count', the number of values by "
                "block, where blocks differ)}",
            ),
            Attribute(
                "recordings",
                "dict",
                "recordings that a script switched: {recording: {on (bool), steps (number of "
                "steps in which it was on)}}",
                required=False,
            ),
            Attribute("script_changes", "list", "names that a script has changed"),
            Attribute("digest", "str", "SHA-256 of the blocks' digests in order"),
            Attribute("versions", "dict", "versions of distsnn and of what it ran on"),
            # Written last.
            Attribute(
                "files", "dict", "SHA-256 of files: of blocks and each rank's zarr.json", False
            ),
            Attribute(
                "attributes_sha256", "str", "SHA-256 of the other attributes as sorted JSON", False
            ),
        ),
    ),
    GroupSpec("checkpoint/generation{generation}/blocks", "Index of the blocks of neurons."),
    GroupSpec(
        "checkpoint/generation{generation}/rank{rank}",
        "States saved by one rank.",
        (
            Attribute(
                "segments",
                "list",
                "segments of states: {population, group, variable, dtype, first, size}; neurons "
                "(and plastic synapses onto them) are in the order of the rank's blocks",
            ),
            Attribute("files", "dict", "SHA-256 of every other file below this group"),
        ),
    ),
    GroupSpec(
        "checkpoint/generation{generation}/rank{rank}/spikes",
        "Spikes in flight of this rank's neurons, in the order of (step, gid).",
    ),
    GroupSpec(
        "checkpoint/generation{generation}/rank{rank}/state",
        "States of this rank's neurons, and of their synapse models (group 'sources/PROJECTION'), "
        "in one array for each type, because few files are written fast.",
    ),
    GroupSpec("network", "Large parts of the network description."),
    GroupSpec("network/arrays", "Arrays of the network description, by name."),
    GroupSpec("network/arrays/{path}", "Groups of these arrays."),
    GroupSpec(
        "attempt{attempt}",
        "One start of the run; a resume adds the next.",
        (
            Attribute("ranks", "int", "number of ranks"),
            Attribute(
                "assignment",
                "dict",
                "assignment of blocks to ranks: strategy, owner (rank of each block), settings "
                "(options of the strategy), groups (ranks of each rank group; empty without rank "
                "groups)",
            ),
            Attribute(
                "start_step",
                "int",
                "the attempt simulates steps after this step; later steps of earlier attempts "
                "are superseded",
            ),
            Attribute("versions", "dict", "versions of distsnn and of what it ran on"),
            Attribute(
                "recordings",
                "list",
                "groups of every rank: spikes, state/NAME, weights/NAME; written when all ranks "
                "have created them, before anything is recorded; a missing group is an error",
                required=False,
            ),
            Attribute(
                "intervals",
                "dict",
                "intervals (after, until] of steps in which a switched recording was on: "
                "{recording: [[after, until], ...]}; until is null if it is still on; recordings "
                "are spikes/POPULATION, state/NAME and weights/NAME; an unlisted recording was "
                "always on; written before anything is recorded after a switch",
                required=False,
            ),
            Attribute(
                "saved",
                "int",
                "number of the last checkpoint generation that the attempt wrote",
                required=False,
            ),
            Attribute("last_step", "int", "last step simulated, once known", required=False),
        ),
    ),
    GroupSpec(
        "attempt{attempt}/rank{rank}",
        "Data of one rank.",
        (
            Attribute("status", "str", "'running', 'complete', 'stopped: …' or 'failed: …'"),
            Attribute(
                "timing",
                "dict",
                "wall-clock times, s: build, update, deliver, exchange, wait, record, total",
                required=False,
            ),
            Attribute("memory", "dict", "peak_rss_bytes, ...", required=False),
            Attribute(
                "counters",
                "dict",
                "counters since the start of the attempt: steps, neurons, synaptic_events, "
                "own_spikes (of this rank's neurons), epoch_steps, exchanges (among all ranks), "
                "received_spikes, received_bytes; group_epoch_steps, group_exchanges: the same "
                "inside its rank group; group_received_spikes: spikes received inside its rank "
                "group (0 without rank groups); and lists by the rank of the source: synapses, "
                "sources (of these synapses), min_delay (steps, 0: none), spikes_from_rank "
                "(spikes of these sources); no lists without stored synapses",
                required=False,
            ),
            Attribute("host", "str", "name of the compute node", required=False),
            Attribute("pid", "int", "process number", required=False),
        ),
    ),
    GroupSpec(
        "attempt{attempt}/rank{rank}/spikes",
        "Spikes of this rank's neurons, in the order of (step, gid).",
        (
            Attribute("committed", "int", "number of valid spikes; the arrays may be longer"),
            Attribute("committed_step", "int", "all spikes up to this step are committed"),
            Attribute("last_spike_step", "int", "step of the last valid spike; 0 without spikes"),
            Attribute("index_stride", "int", "distance of index entries, spikes"),
            Attribute(
                "index_step", "list", "steps of spikes 0, stride, 2·stride, ... below `committed`"
            ),
        ),
    ),
    GroupSpec("attempt{attempt}/rank{rank}/state", "State recordings of this rank, by name."),
    GroupSpec(
        "attempt{attempt}/rank{rank}/state/{name}",
        "One state recording; row r is the state at step first_step + r·interval_steps; for a "
        "switched recording, at the r-th multiple of `interval_steps` (from 0) in its `intervals`.",
        (
            *_ROWS,
            Attribute(
                "neurons",
                "int",
                "number of this rank's neurons that are summed; only of sums and means, whose two "
                "columns are parts of a sum",
                required=False,
            ),
        ),
    ),
    GroupSpec("attempt{attempt}/rank{rank}/weights", "Weight recordings of this rank, by name."),
    GroupSpec(
        "attempt{attempt}/rank{rank}/weights/{name}",
        "One weight recording; row r contains the weights after all spikes up to step "
        "first_step + r·interval_steps; for a switched recording, up to the step of row r of a "
        "state recording.",
        _ROWS,
    ),
    GroupSpec(
        "attempt{attempt}/exit_reports",
        "Exit reports of ranks, written by other processes; absent without reports.",
    ),
    GroupSpec(
        "attempt{attempt}/exit_reports/rank{rank}",
        "Exit report of a rank.",
        (
            Attribute("rank", "int", "the rank"),
            Attribute("host", "str", "name of its compute node"),
            Attribute("pid", "int", "its process number"),
            Attribute("time", "str", "time of day at which its end was detected, ISO 8601"),
            Attribute(
                "cause", "str", "how the rank ended, as a clause that follows the name of the rank"
            ),
            Attribute("step", "int", "its last reported step", required=False),
            Attribute("signal", "int", "signal that ended it, if known", required=False),
        ),
    ),
)

ARRAYS: tuple[ArraySpec, ...] = (
    ArraySpec(
        "attempt{attempt}/rank{rank}/spikes/step",
        ("int32",),
        ("spike",),
        "dt",
        "step of the spike: its time is step·dt",
        {"int32": -1},
    ),
    ArraySpec(
        "attempt{attempt}/rank{rank}/spikes/gid",
        ("uint32",),
        ("spike",),
        "1",
        "neuron, counted from 0 in the order of populations",
        {"uint32": 2**32 - 1},
    ),
    ArraySpec(
        "attempt{attempt}/rank{rank}/state/{name}/gid",
        ("uint32",),
        ("neuron",),
        "1",
        "neuron of each column",
        {"uint32": 2**32 - 1},
    ),
    ArraySpec(
        "attempt{attempt}/rank{rank}/state/{name}/quantum",
        ("float64",),
        ("part",),
        "1",
        "value of the integer 1 in each column of a sum or mean: 2^-12 and 2^-43; such "
        "recordings have no gid",
        _NAN,
    ),
    ArraySpec(
        "attempt{attempt}/rank{rank}/state/{name}/{variable}",
        ("float32", "float64", "int32", "int64"),
        ("time", "neuron"),
        "",
        "recorded variable, not relative to E_L (a variable cannot be called gid). If the group "
        "has `quantum` instead of `gid`: two columns of int64, and the sum over this rank's "
        "neurons is the sum over columns of quantum times value. Add the integers of all ranks "
        "first; a mean is the sum divided by the number of neurons",
        {**_NAN, **_LOWEST},
    ),
    ArraySpec(
        "attempt{attempt}/rank{rank}/weights/{name}/source",
        ("uint32",),
        ("synapse",),
        "1",
        "source of each column: columns are in the order of sources",
        {"uint32": 2**32 - 1},
    ),
    ArraySpec(
        "attempt{attempt}/rank{rank}/weights/{name}/target",
        ("uint32",),
        ("synapse",),
        "1",
        "target of each column",
        {"uint32": 2**32 - 1},
    ),
    ArraySpec(
        "attempt{attempt}/rank{rank}/weights/{name}/delay",
        ("int32",),
        ("synapse",),
        "dt",
        "delay of each column",
        {"int32": -1},
    ),
    ArraySpec(
        "attempt{attempt}/rank{rank}/weights/{name}/{variable}",
        ("float32", "float64"),
        ("time", "synapse"),
        "",
        "weight, signed, or a state of the synapses (which cannot be called source, target, delay)",
        _NAN,
    ),
    ArraySpec(
        "checkpoint/generation{generation}/blocks/rank",
        ("int32",),
        ("block",),
        "1",
        "rank that saved the block",
        {"int32": -1},
    ),
    ArraySpec(
        "checkpoint/generation{generation}/blocks/digest",
        ("uint8",),
        ("block", "byte"),
        "1",
        "SHA-256 of the block's states and spikes in flight",
        _ZERO,
    ),
    ArraySpec(
        "checkpoint/generation{generation}/blocks/wiring",
        ("uint64",),
        ("block",),
        "1",
        "digest of the synapses onto the block, which are not saved",
        _ZERO,
    ),
    ArraySpec(
        "checkpoint/generation{generation}/rank{rank}/spikes/step",
        ("int32",),
        ("spike",),
        "dt",
        "step of the spike",
        {"int32": -1},
    ),
    ArraySpec(
        "checkpoint/generation{generation}/rank{rank}/spikes/gid",
        ("uint32",),
        ("spike",),
        "1",
        "neuron",
        {"uint32": 2**32 - 1},
    ),
    ArraySpec(
        "checkpoint/generation{generation}/rank{rank}/state/{dtype}",
        ("float32", "float64", "int32", "int64"),
        ("value",),
        "unit of the kernel",
        "states as stored by the kernels, in segments",
        _NAN,
    ),
    ArraySpec("network/arrays/{path}", NUMBERS, (), "", "array of the network description", _ZERO),
)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", pattern)
    text = "".join(
        _PLACEHOLDERS[part] if odd else re.escape(part)
        for odd, part in ((index % 2, part) for index, part in enumerate(parts))
    )
    return re.compile(text)


def array_spec(path: str) -> ArraySpec:
    """Return the entry of the array at a path inside the store (StoreError if it has none)."""
    for spec in ARRAYS:
        if _compiled(spec.pattern).fullmatch(path):
            return spec
    raise StoreError("no such array in the schema", path=path)


def group_spec(path: str) -> GroupSpec:
    """Return the entry of the group at a path inside the store (StoreError if it has none)."""
    for spec in GROUPS:
        if _compiled(spec.pattern).fullmatch(path):
            return spec
    raise StoreError("no such group in the schema", path=path or "/")


def attempt_path(attempt: int) -> str:
    """Return the path of an attempt's group, such as ``attempt000``."""
    return f"attempt{attempt:03d}"


def rank_path(attempt: int, rank: int) -> str:
    """Return the path of a rank's group, such as ``attempt000/rank0003``."""
    return f"{attempt_path(attempt)}/rank{rank:04d}"


def exit_reports_path(attempt: int) -> str:
    """Return the path of an attempt's exit reports, such as ``attempt000/exit_reports``."""
    return f"{attempt_path(attempt)}/exit_reports"


def check_component(name: str, *, where: str) -> str:
    """Return `name` if it can be one component of a path inside a store.

    Raises
    ------
    DescriptionError
        If it is empty, starts with a dot, contains a slash, backslash or control character, or is
        the name of zarr's metadata file.
    """
    bad = not name or name.startswith(".") or name == "zarr.json" or len(name.encode()) > 200
    if bad or any(character in "/\\" or not character.isprintable() for character in name):
        raise DescriptionError(
            "name cannot be stored",
            where=where,
            value=name,
            allowed="up to 200 printable bytes without / and \\, not starting with a dot",
        )
    return name


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def markdown() -> str:
    """Return the schema as Markdown tables (the body of ``docs/store-format.md``)."""
    lines: list[str] = []
    for group in sorted(GROUPS, key=lambda spec: spec.pattern):
        lines += [f"### Group `/{group.pattern}`", "", group.doc, ""]
        if group.attributes:
            lines += ["| attribute | kind | meaning |", "| --- | --- | --- |"]
            lines += [
                f"| `{a.name}` | {a.kind}{'' if a.required else ', optional'} | {_cell(a.doc)} |"
                for a in group.attributes
            ]
            lines.append("")
    lines += ["### Arrays", "", "| path | dtype | dimensions | unit | meaning |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for array in ARRAYS:
        dtypes = "any number" if len(array.dtypes) > 5 else ", ".join(array.dtypes)
        dims = ", ".join(array.dims) or "any"
        unit = array.unit or "attribute `units`"
        lines.append(f"| `{array.pattern}` | {dtypes} | {dims} | {unit} | {_cell(array.doc)} |")
    return "\n".join(lines) + "\n"
