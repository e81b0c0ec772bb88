"""The command line: what it takes, and one message for what it does not."""

import re

import pytest

from distsnn.cli import parser
from distsnn.cli.parser import command_options, heartbeat_limit, parse
from distsnn.errors import UsageError


def test_options_of_a_run() -> None:
    words = "run model.py --time 12.5 --ranks 3 --seed 7 --out r.zarr --overwrite --quiet"
    options = parse([*words.split(), "--set", "a=1", "b=x y", "--set", "c=2"], prints_help=True)
    assert (options.command, options.model, options.time) == ("run", "model.py", 12.5)
    assert (options.ranks, options.seed, options.out) == (3, 7, "r.zarr")
    assert options.overwrite and options.quiet
    assert sorted(options.set) == ["a=1", "b=x y", "c=2"]
    assert (options.strategy, options.delivery, options.storage) == (None, "auto", "auto")
    assert options.words[:2] == ["run", "model.py"]


def test_settings_may_come_before_the_model() -> None:
    options = parse(["run", "--set", "a=1", "model.py", "--time", "1"], prints_help=True)
    assert (options.model, options.set) == ("model.py", ["a=1"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "rnu model.py",
            "unknown command 'rnu'; allowed: boards, examples, info, map, models, partition, "
            "profile, report, run, submit; did you",
        ),
        ("run --time 1", "the following arguments are required: MODEL (see distsnn run --help)"),
        ("run m --tim 1", "unknown option '--tim'.*did you mean '--time'"),
        ("run m --stratgy=x", "unknown option '--stratgy'.*did you mean '--strategy'"),
        ("run m n --time 1", "distsnn run: unexpected argument; given 'n'"),
        ("run m --time soon", "argument --time: 'soon' is not a time in ms"),
        ("run m --time -1", "argument --time: '-1': must be finite and not negative, ms"),
        ("run m --time nan", "must be finite"),
        ("run m --time inf", "must be finite"),
        ("run m --ranks 0", "argument --ranks: 0: must be at least 1"),
        ("run m --ranks two", "argument --ranks: 'two' is not a number of ranks"),
        ("run m --seed 1.5", "argument --seed: '1.5' is not an integer"),
        ("submit m --time 8:00:00", "'8:00:00' is a limit of SLURM.*use --time-limit 8:00:00"),
        ("info", "the following arguments are required: RUN"),
        ("info r.zarr extra=1", "unexpected argument; given 'extra=1'"),
        ("report r.zarr --ouy x", "unknown option '--ouy'.*did you mean '--out'"),
    ],
)
def test_mistake_is_an_error_with_a_hint(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words.split(), prints_help=True)
    pattern = ".*".join(map(re.escape, message.split(".*")))
    assert re.search(pattern, str(caught.value))
    assert capsys.readouterr() == ("", "")


def test_options_of_one_name_mean_one_thing() -> None:
    """An option takes the same kind of value in all commands, but for where output goes."""
    _, commands = parser._build()
    kinds: dict[str, set[str]] = {}
    for command in commands.values():
        for action in command._actions:
            for option in action.option_strings:
                kinds.setdefault(option, set()).add(action.metavar)
    assert {option for option, metavars in kinds.items() if len(metavars) > 1} == {"--out"}
    helps = {
        action.help.partition(",")[0]
        for name in ("run", "submit")
        for action in commands[name]._actions
        if "--time" in action.option_strings
    }
    assert helps == {"biological time"}


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["--version"], []])
def test_only_the_first_rank_prints_help(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words, prints_help=True)
    assert ended.value.code == (0 if words else 2)
    assert "distsnn" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        parse(words, prints_help=False)
    assert capsys.readouterr() == ("", "")


def test_the_workers_command_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"], prints_help=True)
    assert "worker" not in capsys.readouterr().out
    assert parse(["worker", "folder"], prints_help=True).folder == "folder"


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("run model.py --time 1", 60.0),
        ("run model.py --time 1 --heartbeat-timeout 2min", 120.0),
        ("run --heartbeat-timeout=3 model.py --heart 7", 3.0),
        # mistakes are raised where the whole line is parsed
        ("run --heartbeat-timeout soon", 60.0),
        ("run --heartbeat-timeout", 60.0),
        ("", 60.0),
    ],
)
def test_limit_of_silence_is_known_before_commands_are_parsed(words: str, limit: float) -> None:
    assert heartbeat_limit(words.split()) == limit


def test_options_of_one_name_have_one_meaning_in_all_commands() -> None:
    """They take values of one kind, and the same text means the same value."""
    texts = {"MS": "5", "N": "3", "S": "7", "LIST": "1,2", "TIME": "5min", "HZ": "5"}
    kinds: dict[str, dict[str, tuple[object, object]]] = {}
    commands = ("run", "submit", "partition", "profile", "map", "info", "report", "boards")
    for command in commands:
        for action in command_options(command):
            convert = action.type if callable(action.type) else str
            value = convert(texts.get(str(action.metavar), "text")) if action.type else None
            # `run` converts a wall-clock time, and `submit` writes it into its script
            value = None if action.metavar == "TIME" else value
            for option in action.option_strings:
                kinds.setdefault(option, {})[command] = (action.metavar, value)
    shared = {option: by_command for option, by_command in kinds.items() if len(by_command) > 1}
    assert len(shared) >= 14
    # a command writes its result to `--out`: a run, a page or a file
    assert {kind for kind, _ in shared.pop("--out").values()} == {"RUN", "FILE"}
    assert {option for option, found in shared.items() if len({*map(str, found.values())}) > 1} == (
        set()
    )
