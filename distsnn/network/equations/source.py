"""A user's text, places in it, and errors that show the place."""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from distsnn.errors import DescriptionError, closest_name

# Of a line in an error, characters.
_WIDEST = 120


@dataclass(frozen=True)
class EquationText:
    """A text that a user wrote.

    Parameters
    ----------
    name : str
        What it is, e.g. ``"equations"``.
    text : str
        The text.
    """

    name: str
    text: str

    @cached_property
    def code(self) -> str:
        """The text with blanks instead of comments, with the same positions."""
        lines = self.text.split("\n")
        return "\n".join(line.partition("#")[0].ljust(len(line)) for line in lines)

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def line_and_column(self, position: int) -> tuple[int, int]:
        """Return line and column of a position, both from 1."""
        line = min(bisect_right(self._starts, position), len(self._starts) - 1)
        return line, position - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return a line of the text, from 1."""
        return self.text[self._starts[number - 1] : self._starts[number] - 1]


@dataclass(frozen=True)
class Span:
    """A piece of a text: positions ``start`` to ``stop``, the last not included."""

    source: EquationText
    start: int
    stop: int

    @property
    def text(self) -> str:
        """The text of the span, without comments."""
        return self.source.code[self.start : self.stop]

    @property
    def comment(self) -> str:
        """The comment at the end of the line in which the piece ends, without its sign."""
        line, _ = self.source.line_and_column(max(self.start, self.stop - 1))
        return self.source.line(line).partition("#")[2].strip()

    def with_carets(self) -> str:
        """Return the line where it starts and, below, carets under the piece."""
        number, column = self.source.line_and_column(self.start)
        line = self.source.line(number)
        # in a long line, the part around the position
        first = max(0, min(column - 1 - _WIDEST // 3, len(line) - _WIDEST))
        last = min(len(line), first + _WIDEST)
        left, right = "... " if first else "", " ..." if last < len(line) else ""
        width = max(1, min(self.stop - self.start, last - column + 1))
        # a tab stays one, so that the carets stand where they should
        before = "".join(
            "\t" if character == "\t" else " " for character in line[first : column - 1]
        )
        displayed = f"{left}{line[first:last]}{right}"
        return f"    {displayed}\n    {' ' * len(left)}{before}{'^' * width}"


class EquationError(DescriptionError):
    """An error at a place in a user's text; its message ends with the line and carets below it.

    Parameters
    ----------
    problem : str
        The problem.
    span : Span
        Its position.
    allowed : str, optional
        Allowed values.
    nearest : str, optional
        The nearest valid name.
    hint : str, optional
        What else to do.

    Attributes
    ----------
    line, column : int
        The place, from 1.
    """

    def __init__(
        self,
        problem: str,
        span: Span,
        *,
        allowed: str = "",
        nearest: str | None = None,
        hint: str = "",
    ) -> None:
        self.line, self.column = span.source.line_and_column(span.start)
        where = f"{span.source.name}, line {self.line}, column {self.column}"
        self.excerpt = span.with_carets()
        super().__init__(problem, where=where, allowed=allowed, nearest=nearest, hint=hint)


def unknown_at(kind: str, name: str, names: list[str], span: Span) -> EquationError:
    """Return the error for a name that is not among `names`, with its nearest match."""
    return EquationError(
        f"unknown {kind} {name!r}",
        span,
        allowed=", ".join(sorted(names)) or "none",
        nearest=closest_name(name, names),
    )
