"""The command line and its options. A usage error has one message, like any other error."""

import argparse
import math
import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NoReturn

from distsnn.cli.board_parsers import add_board_commands
from distsnn.comm.supervision.heartbeat import DEFAULT_TIMEOUT_S
from distsnn.errors import UsageError, unknown_name_error

_EPILOG = """\
exit codes: 0 done, 2 bad usage or model, 1 failed, 130 interrupted, 85 stopped by SIGTERM, SIGUSR1
or --wall-limit (start it again with --resume)
"""
_MODEL = (
    "name of an example, a Python file that defines build(**parameters) -> Network, a run store "
    "(its network runs again, by default with its seed and time), or a folder with a network "
    "description; a network with user-defined model classes needs their Python file, also with "
    "--resume"
)


_RATES = "rates of the populations: a file of `distsnn profile`, or a run store"
_ASSIGNMENT = "the rank of each population, or of each of its blocks, in a JSON file"


class _Parser(argparse.ArgumentParser):
    # Rank 0 prints help; all ranks raise usage errors.
    def __init__(self, *, prints_help: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self._prints_help = prints_help

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)", where=self.prog)

    def _print_message(self, message: str, file: Any = None) -> None:
        if self._prints_help:
            super()._print_message(message, file)


def parse(words: Sequence[str], *, prints_help: bool) -> argparse.Namespace:
    """Parse a command line.

    Parameters
    ----------
    words : sequence of str
        Arguments after the program's name.
    prints_help : bool
        Whether this rank prints help and version.

    Returns
    -------
    argparse.Namespace
        `command`, `words` and the command's own options.

    Raises
    ------
    UsageError
        If the arguments are not valid.
    SystemExit
        After ``--help`` and ``--version``.
    """
    parser, commands = _build(prints_help=prints_help)
    first = words[0] if words else "--help"
    if not first.startswith("-") and first not in commands:
        raise unknown_name_error(
            "command", first, _public(commands), where="distsnn", error=UsageError
        )
    if not words:
        parser.print_help()
        raise SystemExit(2)
    options, extra = parser.parse_known_args(words)
    if "set" in options:
        # `--set a=1 b=2` as well as `--set a=1 --set b=2`
        options.set += [word for word in extra if _is_setting(word)]
        extra = [word for word in extra if not _is_setting(word)]
    resumed = options.command == "run" and options.resume not in (None, "auto")
    template = options.command == "submit"  # checked by the command
    if "model" in options and options.model is None and not resumed and not template:
        commands[options.command].error("the following arguments are required: MODEL")
    if extra:
        raise _unexpected_argument(extra[0], commands[options.command])
    options.words = list(words)
    return options


def heartbeat_limit(words: Sequence[str]) -> float:
    """Return ``--heartbeat-timeout``, s, or its default, before the command is parsed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--heartbeat-timeout", type=_wall, default=DEFAULT_TIMEOUT_S)
    try:
        return float(parser.parse_known_args(words)[0].heartbeat_timeout)
    except argparse.ArgumentError:  # `parse` raises it again
        return DEFAULT_TIMEOUT_S


def command_options(command: str) -> list[argparse.Action]:
    """Return the options of a command, and its positional arguments."""
    return _actions(_build()[1][command])


def _build(*, prints_help: bool = True) -> tuple[_Parser, dict[str, _Parser]]:
    parser = _Parser(
        prints_help=prints_help,
        prog="distsnn",
        description="Simulate large spiking networks, with the same spikes on any number of ranks.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"distsnn {version('distsnn')}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str | None) -> _Parser:
        listed: dict[str, Any] = {"help": text} if text else {}  # hidden without
        return subparsers.add_parser(
            name,
            description=text,
            epilog=_EPILOG,
            allow_abbrev=False,
            prints_help=prints_help,
            **listed,
        )

    _add_run(add("run", "simulate a model and record it"))
    info = add("info", "print a summary of a run in numbers")
    info.add_argument("run", metavar="RUN", help="run store")
    info.add_argument("--json", action="store_true", help="print JSON")
    report = add("report", "write a page with a run's plots, settings and timing")
    report.add_argument("run", metavar="RUN", help="run store")
    report.add_argument(
        "--out", metavar="FILE", help="HTML file to write (default: RUN with the ending .html)"
    )
    _add_submit(add("submit", "run a model as a batch job of SLURM"))
    _add_partition(add("partition", "compare strategies that assign a model to ranks"))
    _add_profile(add("profile", "measure a model's rates in a short run, for partitioning"))
    add_board_commands(add, _add_model, _time, _RATES)
    add("examples", "list the example networks that come with distsnn")
    models = add("models", "list neuron models, synapse models and stimuli, or show one in full")
    models.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="a model's class, such as IafPscExp, or its name in NEST, such as iaf_psc_exp: show "
        "its equations, parameters, state variables, receptors, integration, names in other "
        "simulators, and papers",
    )
    # The command of ranks that `simulate(..., ranks=N)` starts.
    add("worker", None).add_argument("folder", metavar="FOLDER")
    return parser, dict(subparsers.choices)


def _add_model(command: _Parser, *, seed: bool = True) -> None:
    command.add_argument("model", metavar="MODEL", nargs="?", help=_MODEL)
    command.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a parameter of the model; may be repeated",
    )
    if seed:
        command.add_argument(
            "--seed", metavar="S", type=_seed, help="seed of all random numbers (default: 1)"
        )


def _add_run(run: _Parser) -> None:
    _add_model(run)
    run.add_argument("--time", metavar="MS", type=_time, help="biological time, ms")
    run.add_argument(
        "--ranks",
        metavar="N",
        type=_ranks,
        help="MPI ranks to start on this machine (default: 1, or those that mpiexec started)",
    )
    run.add_argument(
        "--oversubscribe",
        action="store_true",
        help="allow more than 16 ranks per core with --ranks",
    )
    run.add_argument("--out", metavar="RUN", help="run store to record to (default: none)")
    run.add_argument("--overwrite", action="store_true", help="replace the run at --out")
    run.add_argument(
        "--strategy",
        metavar="NAME",
        help="strategy that assigns neurons to ranks: round_robin, contiguous, population, graph "
        "(default: round_robin; with --resume, the run's strategy)",
    )
    run.add_argument("--assignment", metavar="FILE", help=f"instead of --strategy: {_ASSIGNMENT}")
    _add_graph(run)
    run.add_argument(
        "--delivery",
        metavar="NAME",
        default="auto",
        help="method of spike delivery: auto, pull, push (default: %(default)s)",
    )
    run.add_argument(
        "--storage",
        metavar="NAME",
        default="auto",
        help="storage format of synapses: auto, packed, explicit, procedural "
        "(default: %(default)s)",
    )
    run.add_argument(
        "--resume",
        metavar="RUN",
        help="continue a run from its newest checkpoint, on any number of ranks; `auto`: continue "
        "the run at --out, start it if it does not exist, and do nothing if it is complete",
    )
    run.add_argument(
        "--checkpoint-every",
        metavar="TIME",
        type=_biological,
        help="biological time between two checkpoints, such as 500ms or 10s",
    )
    run.add_argument(
        "--checkpoint-wall-time",
        metavar="TIME",
        type=_wall,
        help="wall-clock time between two checkpoints, such as 90s, 5min or 1h",
    )
    run.add_argument(
        "--wall-limit",
        metavar="TIME",
        type=_wall,
        help="save and stop so that the run ends within this wall-clock time",
    )
    run.add_argument(
        "--max-rate",
        metavar="HZ",
        type=_rate,
        help="fail if a population's mean rate exceeds this value, spikes/s",
    )
    run.add_argument(
        "--heartbeat-timeout",
        metavar="TIME",
        type=_wall,
        default=DEFAULT_TIMEOUT_S,
        help="abort the job if a rank sends no heartbeat for this time; a rank may take five times "
        "as long, and at least 30s, to start (default: 60s)",
    )
    run.add_argument("--quiet", action="store_true", help="show neither progress nor a summary")


def _add_graph(command: _Parser) -> None:
    """Add options of the strategy `graph`."""
    command.add_argument("--rates", metavar="FILE", help=f"for graph: {_RATES}")
    command.add_argument(
        "--rank-speeds",
        metavar="LIST",
        type=_rank_speeds,
        help="for graph: relative speed of each rank, such as 1,1,2",
    )
    command.add_argument(
        "--quality",
        metavar="NAME",
        default="fast",
        help="for graph: fast, or best, which needs mtkahypar (default: %(default)s)",
    )


def _add_partition(partition: _Parser) -> None:
    _add_model(partition, seed=False)  # what is compared are expected values
    partition.add_argument(
        "--ranks",
        metavar="N",
        type=_ranks,
        help="number of MPI ranks (default: that of the run, else 2)",
    )
    partition.add_argument(
        "--strategy",
        metavar="NAME",
        action="append",
        help="round_robin, contiguous, population or graph; may be repeated (default: all)",
    )
    partition.add_argument(
        "--assignment", metavar="FILE", help=f"also compare this assignment: {_ASSIGNMENT}"
    )
    _add_graph(partition)
    partition.add_argument("--json", action="store_true", help="print JSON")
    partition.add_argument(
        "--plot", metavar="FILE", help="plot spikes and delays between ranks, and their load"
    )


def _add_profile(profile: _Parser) -> None:
    _add_model(profile)
    profile.add_argument(
        "--time",
        metavar="MS",
        type=_time,
        default=200.0,
        help="measured biological time, ms (default: %(default)g)",
    )
    profile.add_argument(
        "--warmup",
        metavar="MS",
        type=_time,
        default=100.0,
        help="biological time before that, ms (default: %(default)g)",
    )
    profile.add_argument("--out", metavar="FILE", help="write JSON here (default: print it)")


def _add_submit(submit: _Parser) -> None:
    _add_model(submit)
    submit.add_argument("--out", metavar="RUN", help="run store to record to")
    submit.add_argument("--time", metavar="MS", type=_submitted_time, help="biological time, ms")
    submit.add_argument(
        "--array",
        metavar="SEEDS",
        help="a job for each seed, such as 1-10 or 1-100%%8; seed 7 makes RUN-seed7.zarr",
    )
    submit.add_argument(
        "--run-option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a further option of distsnn run, such as delivery=push; may be repeated",
    )
    submit.add_argument(
        "--analyse",
        metavar="WHAT",
        help="after all runs: `report`, or a Python file that gets the run stores as arguments",
    )
    submit.add_argument(
        "--dry-run", action="store_true", help="print the script without submitting it"
    )
    submit.add_argument(
        "--template",
        metavar="NAME",
        help="print a template to copy and edit, and exit: scaling, seeds, dask-analysis",
    )
    _add_slurm(submit.add_argument_group("SLURM"))


def _add_slurm(group: Any) -> None:
    group.add_argument(
        "--time-limit",
        metavar="LIMIT",
        help="sbatch's --time, the wall-clock limit of one start: minutes, H:M:S or D-H:M",
    )
    group.add_argument(
        "--ntasks", metavar="N", type=_ranks, default=1, help="MPI ranks (default: %(default)s)"
    )
    group.add_argument("--nodes", metavar="N", type=_nodes, help="number of nodes")
    for name in ("partition", "account", "qos", "mem"):
        group.add_argument(f"--{name}", metavar=name.upper(), help=f"sbatch's --{name}")
    group.add_argument(
        "--sbatch",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="any other option of sbatch, such as constraint=ib; may be repeated",
    )
    group.add_argument(
        "--prologue",
        metavar="LINE",
        action="append",
        default=[],
        help="a shell command to run first, such as 'module load mpich'; may be repeated",
    )
    group.add_argument(
        "--mpi",
        metavar="NAME",
        help="srun's --mpi (default: the value for the MPI library of mpi4py)",
    )
    group.add_argument(
        "--checkpoint-wall-time",
        metavar="TIME",
        default="5min",
        help="wall-clock time between two checkpoints (default: %(default)s)",
    )
    group.add_argument(
        "--checkpoint-lead",
        metavar="S",
        type=_seconds,
        help="save this time before --time-limit, s (default: 120, or a quarter of a short limit)",
    )


def _number(text: str, meaning: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {meaning}") from None


def _time(text: str) -> float:
    value = _number(text, "a time in ms")
    if not math.isfinite(value) or value < 0.0:
        raise argparse.ArgumentTypeError(f"{text!r}: must be finite and not negative, ms")
    return value


def _submitted_time(text: str) -> float:
    if set(text) & set(":-"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is a limit of SLURM, not a biological time in ms: use --time-limit {text}"
        )
    return _time(text)


_UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _duration(text: str, unit: str) -> float:
    match = re.fullmatch(r"([0-9.eE+-]+)\s*([a-z]*)", text.strip())
    if match is None or (match[2] or unit) not in _UNITS:
        units = ", ".join(_UNITS)
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: a number and one of {units}")
    value = _number(match[1], "a time") * _UNITS[match[2] or unit]
    if not math.isfinite(value) or value <= 0.0:
        raise argparse.ArgumentTypeError(f"{text!r}: must be positive")
    return value


def _wall(text: str) -> float:
    return _duration(text, "s")


def _biological(text: str) -> float:
    return round(1e3 * _duration(text, "ms"), 9)


def _rate(text: str) -> float:
    value = _number(text, "a rate in spikes/s")
    if not math.isfinite(value) or value <= 0.0:
        raise argparse.ArgumentTypeError(f"{text!r}: must be positive, spikes/s")
    return value


def _rank_speeds(text: str) -> list[float]:
    return [_number(number, "a list of numbers, such as 1,1,2") for number in text.split(",")]


def _integer(text: str, meaning: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {meaning}") from None


def _ranks(text: str) -> int:
    value = _integer(text, "a number of ranks")
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value}: must be at least 1")
    return value


def _nodes(text: str) -> int:
    return _integer(text, "a number of nodes")


def _seconds(text: str) -> int:
    return _integer(text, "a number of seconds")


def _seed(text: str) -> int:
    return _integer(text, "an integer")


def _is_setting(word: str) -> bool:
    return not word.startswith("-") and "=" in word


def _public(commands: dict[str, _Parser]) -> list[str]:
    return [name for name in commands if name != "worker"]


def _unexpected_argument(word: str, parser: _Parser) -> UsageError:
    if not word.startswith("-"):
        return UsageError("unexpected argument", where=parser.prog, value=word)
    valid_options: list[str] = []
    for action in _actions(parser):
        valid_options += action.option_strings
    options = [option for option in valid_options if option.startswith("--")]
    name = word.partition("=")[0]
    return unknown_name_error("option", name, options, where=parser.prog, error=UsageError)


def _actions(parser: _Parser) -> list[argparse.Action]:
    return list(parser._actions)
