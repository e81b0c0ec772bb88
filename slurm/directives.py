"""Arguments of sbatch, parsed and checked: time limits, arrays of seeds, options."""

import re

from distsnn.errors import DescriptionError

_TIME = re.compile(
    r"(?:(?P<days>\d+)-(?P<h>\d+)(?::(?P<m>\d+)(?::(?P<s>\d+))?)?"
    r"|(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)"
    r"|(?P<mm>\d+)(?::(?P<ss>\d+))?)"
)
_SECONDS = {
    "days": 86400,
    "h": 3600,
    "m": 60,
    "s": 1,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
    "mm": 60,
    "ss": 1,
}
_SPAN = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
_OPTION = re.compile(r"[a-z][a-z0-9-]*")
# No site allows larger arrays: more seeds are a typing error.
_MOST_SEEDS = 1_000_000


def time_limit_s(text: str) -> int:
    """Return a time limit in seconds.

    Parameters
    ----------
    text : str
        As sbatch takes it: minutes, minutes:seconds, hours:minutes:seconds, days-hours,
        days-hours:minutes or days-hours:minutes:seconds.

    Raises
    ------
    DescriptionError
        If it has another form, or is zero (no limit: the run would get no signal to save).
    """
    match = _TIME.fullmatch(text)
    seconds = 0
    if match is not None:
        seconds = sum(
            _SECONDS[name] * int(digits or 0) for name, digits in match.groupdict().items()
        )
    if seconds == 0:
        raise DescriptionError(
            "not a time limit",
            where="time_limit",
            value=text,
            allowed="more than zero, as minutes, hours:minutes:seconds or days-hours:minutes",
        )
    return seconds


def seeds_of(array: str) -> tuple[int, ...]:
    """Return the seeds of a job array, in its order.

    Parameters
    ----------
    array : str
        As ``sbatch --array`` takes it: ``1-10``, ``1,3,7-9``, ``0-20:5``, ``1-100%8`` (at most 8
        at a time).

    Raises
    ------
    DescriptionError
        If it is malformed, empty or names a seed twice.
    """
    spans, percent, limit = array.partition("%")
    seeds: list[int] = []
    for span in spans.split(","):
        match = _SPAN.fullmatch(span)
        if match is None or (percent and not (limit.isdecimal() and int(limit))):
            raise _no_array(array)
        first, last, step = (int(number) if number else None for number in match.groups())
        assert first is not None  # by the pattern
        if step == 0 or (last is not None and not first <= last < first + _MOST_SEEDS):
            raise _no_array(array)
        seeds += range(first, (first if last is None else last) + 1, step or 1)
    if len(set(seeds)) < len(seeds):
        raise DescriptionError("names a seed twice", where="array", value=array)
    return tuple(seeds)


def _no_array(array: str) -> DescriptionError:
    return DescriptionError(
        "not an array of seeds", where="array", value=array, allowed="such as 1-10 or 1,3,7-9%2"
    )


def directive(name: str, value: str) -> str:
    """Return one ``#SBATCH`` line.

    Parameters
    ----------
    name : str
        The option without its dashes.
    value : str
        Its value; an empty one makes a flag.

    Raises
    ------
    DescriptionError
        If the name is not an option's, or the value cannot be written in such a line.
    """
    if not _OPTION.fullmatch(name):
        raise DescriptionError(
            "not an option of sbatch",
            where="sbatch",
            value=name,
            allowed="a long name, without dashes before it",
        )
    if not value:
        return f"#SBATCH --{name}"
    # sbatch knows quotes there, but no escapes
    if not value.isprintable() or '"' in value or "\\" in value:
        raise DescriptionError(
            "cannot be written in a line of a batch script",
            where=f"--{name}",
            value=value,
            allowed="text without line breaks, double quotes and backslashes",
        )
    plain = re.fullmatch(r"[\w./:,@%+=\[\]-]+", value)
    return f"#SBATCH --{name}={value}" if plain else f'#SBATCH --{name}="{value}"'
