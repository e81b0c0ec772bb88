"""Errors with the problem, its place, the given value and the allowed values."""

import copy
import difflib
import re
import reprlib
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from itertools import islice
from typing import Any, Self, TypeVar, overload

# Maximum lengths of a value and of a text in a message, characters.
_LONGEST_VALUE, _LONGEST_TEXT = 200, 2000
_LONGEST_INTEGER = 600  # bits; Python refuses to print integers of some thousands of digits


class DistsnnError(Exception):
    """Base class of all errors of distsnn.

    A message may contain text from an untrusted file: control characters of terminals are escaped.
    """

    def __str__(self) -> str:
        return "\n".join(map(printable, super().__str__().split("\n")))


class InputError(DistsnnError):
    """Base class of errors of input: of a description, of a command or call, of its time.

    Parameters
    ----------
    problem : str
        The problem, one statement without the value.
    where : str
        Its place: population, projection, field or file, e.g. ``"population 'E', field tau_m"``.
    value : object, optional
        The given value.
    allowed : str, optional
        Allowed values.
    hint : str, optional
        An action that solves the problem.
    nearest : str, optional
        The closest valid name.
    """

    excerpt = ""  # lines after the message

    def __init__(
        self,
        problem: str,
        *,
        where: str = "",
        value: object = None,
        allowed: str = "",
        hint: str = "",
        nearest: str | None = None,
    ) -> None:
        self.problem, self.where, self.value = problem, where, value
        self.allowed, self.hint, self.nearest = allowed, hint, nearest
        super().__init__(self._message())

    def _message(self) -> str:
        message = f"{_cut(self.where)}: {_cut(self.problem)}" if self.where else _cut(self.problem)
        if self.value is not None:
            message += f"; given {shown(self.value)}"
        if self.allowed:
            message += f"; allowed: {_cut(self.allowed)}"
        if self.nearest is not None:
            message += f"; did you mean {self.nearest!r}?"
        if self.hint:
            message += f"; hint: {_cut(self.hint)}"
        return f"{message}\n{self.excerpt}" if self.excerpt else message

    def set_place(self, where: str) -> None:
        """Replace the place; the error stays the same object."""
        self.where = where
        self.args = (self._message(),)

    def in_context(self, place: str) -> Self:
        """Return the error with a file, argument or field around its place."""
        error = copy.copy(self)
        error.set_place(f"{place}: {self.where}" if self.where else place)
        return error


class DescriptionError(InputError, ValueError):
    """A network, model, setting or value that cannot be simulated as described."""


class UsageError(InputError, ValueError):
    """A command or call that is not valid: unknown options, arguments that exclude each other."""


class SimulationStateError(InputError, RuntimeError):
    """A call that the present state of a simulation does not allow, such as `run` after `close`."""


class StoreError(DistsnnError):
    """A run store that cannot be created, written or read.

    Parameters
    ----------
    problem : str
        The problem.
    path : str
        The store or file.
    """

    def __init__(self, problem: str, *, path: str) -> None:
        self.problem, self.path = problem, path
        super().__init__(f"{path}: {problem}")


class RecordingError(StoreError):
    """A recording that could not be written during the run, for example to a full disk."""


class Stopped(DistsnnError):
    """A run that stopped before its end on request, after saving its state.

    Parameters
    ----------
    reason : str
        Source of the request, such as ``"SIGUSR1"`` or ``"the wall limit"``.
    at_ms : float
        Biological time reached, ms.
    store : str or None
        The saved run; None if it is not recorded.

    Attributes
    ----------
    resumable : bool
        Whether the same command can continue without loss.
    command : str or None
        The command that continues the run, or the call for one that a script has changed; None if
        nothing was saved.
    """

    def __init__(self, reason: str, *, at_ms: float, store: str | None) -> None:
        self.reason, self.at_ms, self.store = reason, at_ms, store
        self.resumable = store is not None or at_ms == 0.0
        self.command = _resume_command(store)
        super().__init__(reason)

    def __str__(self) -> str:
        return f"stopped by {self.reason} at {self.at_ms:g} ms{_continued(self.command)}"


class Interrupted(KeyboardInterrupt):
    """A run that Ctrl-C stopped before its end, after saving its state.

    Parameters
    ----------
    at_ms : float
        Biological time reached, ms.
    store : str or None
        The saved run; None if it is not recorded.

    Attributes
    ----------
    command : str or None
        The command that continues the run, or the call for one that a script has changed; None if
        nothing was saved.
    """

    def __init__(self, *, at_ms: float, store: str | None) -> None:
        self.at_ms, self.store = at_ms, store
        self.command = _resume_command(store)
        super().__init__()

    def __str__(self) -> str:
        return f"interrupted at {self.at_ms:g} ms{_continued(self.command)}"


def _resume_command(store: str | None) -> str | None:
    return None if store is None else shlex.join(["distsnn", "run", "--resume", store])


def _continued(command: str | None) -> str:
    return "" if command is None else f"; saved, continue with: {command}"


class StateError(DistsnnError):
    """A neuron with a state that is not finite, or with an input that it cannot process.

    Parameters
    ----------
    problem : str
        Population, gid, step, and the problem.
    """


class RunawayError(DistsnnError):
    """A population whose mean rate exceeded the limit.

    Parameters
    ----------
    population : str
        The population.
    rate, max_rate : float
        Its mean rate in the last window, and the limit, spikes/s.
    at_ms : float
        Biological time of the window's end, ms.
    """

    def __init__(self, population: str, rate: float, max_rate: float, *, at_ms: float) -> None:
        self.population, self.rate, self.max_rate, self.at_ms = population, rate, max_rate, at_ms
        super().__init__(
            f"population {population!r}: {rate:.4g} spikes/s at {at_ms:g} ms, "
            f"above the limit of {max_rate:g} spikes/s"
        )


class RankError(DistsnnError):
    """An error on another rank, sent to this rank so that all ranks stop together.

    Parameters
    ----------
    rank : int
        The rank on which the error was raised.
    message : str
        The message of this error.
    """

    def __init__(self, rank: int, message: str) -> None:
        self.rank, self.message = rank, message
        super().__init__(f"rank {rank}: {message}")


class _Repr(reprlib.Repr):
    """Python's `repr` of the first elements of a value, without processing the others."""

    def __init__(self) -> None:
        super().__init__()
        # this many elements are longer than the displayed text
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 1 + _LONGEST_VALUE // 3
        self.maxfrozenset = self.maxset
        self.maxstring = self.maxlong = self.maxother = 2 * _LONGEST_VALUE

    def repr_int(self, value: int, level: int) -> str:
        if value.bit_length() > _LONGEST_INTEGER:
            return f"an integer of {value.bit_length():,} bits"
        return repr(value)

    def repr_str(self, value: str, level: int) -> str:
        return repr(value[: self.maxstring])

    def repr_dict(self, value: Mapping[Any, Any], level: int) -> str:
        # in the order of the mapping, unlike reprlib
        if level <= 0:
            return "{...}"
        pairs = [
            f"{self.repr1(key, level - 1)}: {self.repr1(item, level - 1)}"
            for key, item in islice(value.items(), self.maxdict)
        ]
        return f"{{{', '.join(pairs)}{', ...' if len(value) > self.maxdict else ''}}}"


def shown(value: object) -> str:
    """Return the text of a value for messages: for a long value, the start and the size."""
    text = _Repr().repr(value)
    shape = getattr(value, "shape", ())
    if len(text) <= _LONGEST_VALUE:
        return text
    text = f"{text[:_LONGEST_VALUE]}..."
    if shape:
        return f"{text} (an array of shape {shape})"
    if isinstance(value, Sized):
        unit = "characters" if isinstance(value, str | bytes) else "elements"
        return f"{text} ({len(value):,} {unit})"
    return text


def _cut(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]}... ({len(text):,} characters)"


def printable(text: str) -> str:
    """Return a text with escaped control characters of terminals."""
    return "".join(
        character
        if character.isprintable() or character == "\t"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def closest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the valid name closest to `name`, or None if no name is close."""
    return next(iter(closest_names(name, names, 1)), None)


def closest_names(name: str, names: Iterable[str], most: int) -> list[str]:
    """Return the valid names closest to `name`, the closest first, if any is close."""
    candidates = list(names)
    folded = {candidate.lower() for candidate in candidates}
    matches = difflib.get_close_matches(name.lower(), folded, n=most, cutoff=0.5)
    similar = difflib.SequenceMatcher(None, name)

    def similarity(candidate: str) -> float:
        similar.set_seq2(candidate)
        return similar.ratio()

    # of names that differ in their case only, the one in the case that was given
    return [
        max((each for each in candidates if each.lower() == match), key=similarity)
        for match in matches
    ]


Error = TypeVar("Error", bound=InputError)


@contextmanager
def argument_errors(name: str) -> Iterator[None]:
    """Name an argument in errors of its value that do not begin with its name.

    Parameters
    ----------
    name : str
        The argument.
    """
    try:
        yield
    except InputError as error:
        if not re.match(rf"{name}\b", error.where):
            raise error.in_context(name) from error
        raise


@overload
def unknown_name_error(
    kind: str, name: object, names: Iterable[str], *, where: str = ""
) -> DescriptionError: ...


@overload
def unknown_name_error(
    kind: str, name: object, names: Iterable[str], *, where: str = "", error: type[Error]
) -> Error: ...


def unknown_name_error(
    kind: str,
    name: object,
    names: Iterable[str],
    *,
    where: str = "",
    error: type[InputError] = DescriptionError,
) -> InputError:
    """Return the error of a class for a name that is not in `names`, with its closest match."""
    valid = sorted(names)
    return error(
        f"unknown {kind} {name!r}",
        where=where,
        allowed=", ".join(valid) or "none",
        # a stored description may contain any value instead of a name
        nearest=closest_name(name, valid) if isinstance(name, str) else None,
    )
