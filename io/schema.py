"""The registry of all that a run's store holds: every array and every group's attributes.

A store is written and read only through this registry (`distsnn.io.nodes`): a path, dtype,
dimension or attribute that is not listed here cannot be written, and one that differs from its
entry is reported when it is read. ``docs/store-format.md`` shows the registry to people.
"""

import re
from collections.abc import Mapping
from functools import cache

from distsnn.errors import DescriptionError, StoreError
from distsnn.io.schema_entries import ArraySpec, Attribute, GroupSpec

FORMAT = "distsnn-run"
FORMAT_VERSION = 4
CHECKPOINT_FORMAT = "distsnn-checkpoint"
CHECKPOINT_VERSION = 6

# The placeholders of path patterns. Names come from users, so they must not be able to leave their
# group ("..") or to collide with zarr's own files.
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

_ROWS = (
    Attribute("committed_rows", "int", "number of valid rows; the arrays may be longer"),
    Attribute("committed_step", "int", "all rows stamped up to here are committed"),
    Attribute("first_step", "int", "step of row 0, if the recording was on from the begin"),
    Attribute("every", "int", "steps between rows"),
    Attribute("variables", "list", "names of the arrays"),
)

GROUPS: tuple[GroupSpec, ...] = (
    GroupSpec(
        "",
        "One run: everything needed to read it, and to repeat it.",
        (
            Attribute("format", "str", f"always {FORMAT!r}"),
            Attribute("format_version", "int", f"{FORMAT_VERSION}; other versions are refused"),
            Attribute("dt", "float", "time step, ms; a spike stamped s was at s·dt"),
            Attribute("seed", "int", "seed of all random numbers"),
            Attribute("time_ms", "float", "biological time asked for so far, ms"),
            Attribute("n_steps", "int", "the same in steps"),
            Attribute("network", "dict", "description of the network, without its arrays"),
            Attribute("arrays", "list", "names of the arrays of the description"),
            Attribute("attempts", "int", "number of attempts; a missing one is damage"),
            Attribute(
                "populations",
                "list",
                "table of populations in gid order: {name, first_gid, size, model, ...}",
            ),
            Attribute(
                "recorded_spikes",
                "list",
                "recorded views: {population, start, stop}, with neurons (a list in ascending "
                "order) if these are not consecutive",
            ),
            Attribute(
                "recorded_states",
                "list",
                "state recordings: {name, population, start, stop, variables, every}, with neurons "
                "as in recorded_spikes",
            ),
            Attribute(
                "recorded_weights",
                "list",
                "weight recordings: {name, projection, synapses (their number), variables, every}",
                required=False,
            ),
            Attribute(
                "quanta",
                "dict",
                "fixed-point scales of the weights; `errors`: rounding errors by projection, "
                "{projection, largest (relative error), share (of the weights, with a relative "
                "error above 2^-10), part (of the total of all absolute weights)}",
            ),
            Attribute("versions", "dict", "versions of distsnn and of what the first start ran on"),
            Attribute("complete", "bool", "the run reached its end and every rank said so"),
            Attribute("wall", "dict", "wall times, s: build_s, run_s, ...", required=False),
            Attribute("synapses", "int", "number of synapses built", required=False),
            Attribute("created", "str", "wall time of the start, ISO 8601", required=False),
            Attribute("command", "list", "the command line", required=False),
            Attribute("model", "dict", "model file or example, with its settings", required=False),
            Attribute("settings", "dict", "seed, strategies, epoch of the first attempt", False),
            Attribute(
                "scripted",
                "list",
                "what a script set while it ran: stimuli, sources, populations (states or "
                "parameters), projections; the description alone does not repeat it",
                required=False,
            ),
        ),
    ),
    GroupSpec("checkpoint", "What the run can be resumed from: two generations at most."),
    GroupSpec(
        "checkpoint/generation{generation}",
        "The state of the whole network after one step.",
        (
            Attribute("format", "str", f"always {CHECKPOINT_FORMAT!r}"),
            Attribute("format_version", "int", f"{CHECKPOINT_VERSION}; other versions are refused"),
            Attribute("step", "int", "steps done"),
            Attribute("dt", "float", "time step, ms"),
            Attribute("seed", "int", "seed of all random numbers"),
            Attribute("network", "str", "SHA-256 of the network's description"),
            Attribute("ranks", "int", "number of ranks that wrote it"),
            Attribute("reach", "int", "steps for which spikes are in flight: the longest delay"),
            Attribute("spikes", "list", "spikes of recorded neurons so far, by population"),
            Attribute("run_s", "float", "wall time of running so far, s"),
            Attribute("attempt", "int", "attempt that wrote it; -1: none was recording"),
            Attribute(
                "fields",
                "list",
                "the state variables: {population, name, owner, dtype, unit, size (values of each "
                "neuron, or for all), counted (name of the number of values by block, where blocks "
                "differ)}",
            ),
            Attribute(
                "recordings",
                "dict",
                "recordings that a script switched: {recording: {on (bool), steps (in which it "
                "was on so far)}}",
                required=False,
            ),
            Attribute("scripted", "list", "names of all that a script has set"),
            Attribute("digest", "str", "SHA-256 of the blocks' digests in their order"),
            Attribute("versions", "dict", "versions of distsnn and of what it ran on"),
            # The last to be written.
            Attribute(
                "files", "dict", "SHA-256 of files: of blocks and each rank's zarr.json", False
            ),
            Attribute("seal", "str", "SHA-256 of the other attributes as sorted JSON", False),
        ),
    ),
    GroupSpec(
        "checkpoint/generation{generation}/blocks", "Index: where each block of neurons is kept."
    ),
    GroupSpec(
        "checkpoint/generation{generation}/rank{rank}",
        "What one rank saved.",
        (
            Attribute(
                "segments",
                "list",
                "where states are: {population, variable, dtype, first, size}; neurons (and "
                "plastic synapses onto them) in the order of the rank's blocks",
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
        "States of this rank's neurons, and what synapse models know of them ('x of PROJECTION'), "
        "one array for all of a type: few files are soon written.",
    ),
    GroupSpec("network", "Large parts of the network's description."),
    GroupSpec("network/arrays", "Arrays that the description refers to, by the names it uses."),
    GroupSpec("network/arrays/{path}", "Groups of such arrays."),
    GroupSpec(
        "attempt{attempt}",
        "One start of the run; resuming adds the next.",
        (
            Attribute("ranks", "int", "number of ranks"),
            Attribute(
                "assignment",
                "dict",
                "which rank simulated what: strategy, owner (rank of each block), settings (what "
                "the strategy was told besides), groups (ranks of each; empty, or missing in older "
                "runs: none)",
            ),
            Attribute(
                "first_step",
                "int",
                "the attempt simulates steps after this one; later steps of earlier attempts "
                "are superseded",
            ),
            Attribute("versions", "dict", "versions of distsnn and of what it ran on"),
            Attribute(
                "recordings",
                "list",
                "groups that every rank has: spikes, state/NAME, weights/NAME; written when all "
                "ranks have created theirs, before anything is recorded; a missing one is damage",
                required=False,
            ),
            Attribute(
                "intervals",
                "dict",
                "steps in which a recording that a script switched was on: {recording: [[after, "
                "until], ...]}, each (after, until], until null: still on; recordings are "
                "spikes/POPULATION, state/NAME and weights/NAME; what is not listed was always "
                "on; written before anything is recorded after a switch",
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
        "What one rank wrote.",
        (
            Attribute("status", "str", "'running', 'complete', 'stopped: …' or 'failed: …'"),
            Attribute(
                "timing",
                "dict",
                "wall time by phase, s: build, update, deliver, exchange, wait, record, total",
                required=False,
            ),
            Attribute("memory", "dict", "peak_rss_bytes, ...", required=False),
            Attribute(
                "counted",
                "dict",
                "since this attempt began: steps, neurons, events, spikes of its own, epoch_steps, "
                "exchanges (among all ranks), received_spikes, received_bytes; group_epoch_steps, "
                "group_exchanges: those inside its group of ranks; group_received_spikes: how many "
                "of received_spikes came inside it (0, or missing in older runs, without groups); "
                "and lists, by the rank of the source: synapses, their sources, their "
                "smallest_delay (steps, 0: none), and heard: spikes that came of these sources "
                "(no lists where synapses are not stored)",
                required=False,
            ),
            Attribute("host", "str", "name of the machine", required=False),
            Attribute("pid", "int", "process", required=False),
        ),
    ),
    GroupSpec(
        "attempt{attempt}/rank{rank}/spikes",
        "Spikes of this rank's neurons, in the order of (step, gid).",
        (
            Attribute("committed", "int", "number of valid spikes; the arrays may be longer"),
            Attribute("committed_step", "int", "all spikes stamped up to here are committed"),
            Attribute("last_spike_step", "int", "stamp of the last valid spike; 0 without any"),
            Attribute("index_stride", "int", "distance of the index entries, spikes"),
            Attribute(
                "index_step", "list", "stamps of spikes 0, stride, 2·stride, ... below `committed`"
            ),
        ),
    ),
    GroupSpec("attempt{attempt}/rank{rank}/state", "State recordings of this rank, by name."),
    GroupSpec(
        "attempt{attempt}/rank{rank}/state/{name}",
        "One state recording; row r holds the state at step first_step + r·every; if it was "
        "switched, at the r-th multiple of `every` (from 0) in the attempt's `intervals` of it.",
        _ROWS,
    ),
    GroupSpec("attempt{attempt}/rank{rank}/weights", "Weight recordings of this rank, by name."),
    GroupSpec(
        "attempt{attempt}/rank{rank}/weights/{name}",
        "One weight recording; row r holds what spikes up to step first_step + r·every made of the "
        "weights; if it was switched, up to the step that row r of a state recording would have.",
        _ROWS,
    ),
    GroupSpec(
        "attempt{attempt}/exit_reports",
        "Exit reports of ranks, written by other processes; absent if there are none.",
    ),
    GroupSpec(
        "attempt{attempt}/exit_reports/rank{rank}",
        "Exit report of a rank.",
        (
            Attribute("rank", "int", "the rank"),
            Attribute("host", "str", "name of its machine"),
            Attribute("pid", "int", "its process"),
            Attribute("time", "str", "time of day at which its end was detected, ISO 8601"),
            Attribute("cause", "str", "how it ended, a text that follows its name"),
            Attribute("step", "int", "its last reported step", required=False),
            Attribute("signal", "int", "signal that ended it, where known", required=False),
        ),
    ),
)

ARRAYS: tuple[ArraySpec, ...] = (
    ArraySpec(
        "attempt{attempt}/rank{rank}/spikes/step",
        ("int32",),
        ("spike",),
        "dt",
        "stamp of the spike: its time is step·dt",
        {"int32": -1},
    ),
    ArraySpec(
        "attempt{attempt}/rank{rank}/spikes/gid",
        ("uint32",),
        ("spike",),
        "1",
        "neuron: counted from 0 in the order of the populations",
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
        "attempt{attempt}/rank{rank}/state/{name}/{variable}",
        ("float32", "float64", "int32"),
        ("time", "neuron"),
        "",
        "recorded variable, in absolute units (a variable cannot be called gid)",
        _NAN,
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
        "stamp of the spike",
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
        "as the kernel has it",
        "states as the kernels hold them, segment after segment",
        _NAN,
    ),
    ArraySpec("network/arrays/{path}", NUMBERS, (), "", "array of the description", _ZERO),
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
    """Return the entry of the array at a path inside the store (StoreError if there is none)."""
    for spec in ARRAYS:
        if _compiled(spec.pattern).fullmatch(path):
            return spec
    raise StoreError("no such array in the schema", path=path)


def group_spec(path: str) -> GroupSpec:
    """Return the entry of the group at a path inside the store (StoreError if there is none)."""
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
        If it is empty, starts with a dot, holds a slash, backslash or control character, or is
        the name of zarr's own file.
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
    """Return the registry as Markdown tables (the body of ``docs/store-format.md``)."""
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
