"""Documentation of a stimulus, made from its declarations, in the form of that of a model."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar, Protocol, TypeVar

from distsnn.network.checks import ANY, Interval
from distsnn.network.model import State
from distsnn.network.model_docs import (
    Entry,
    Section,
    as_text,
    class_docstring,
    document,
    own_peers,
    parse_docstring,
    parse_entries,
    peer_entries,
    split_source,
)


class DescribedStimulus(Protocol):
    """Declaration of a stimulus (see `Stimulus`)."""

    equations: ClassVar[tuple[str, ...]]
    quantities: ClassVar[Mapping[str, tuple[str, Interval]]]
    states: ClassVar[Mapping[str, State]]
    scheme: ClassVar[tuple[str, ...]]


S = TypeVar("S", bound=type)


def documented(stimulus: S) -> S:
    """Make the documentation of a stimulus its ``__doc__``, when this is first read."""
    document(stimulus, stimulus.__doc__ or "", stimulus_documentation)
    return stimulus


def stimulus_documentation(stimulus: type[DescribedStimulus]) -> str:
    """Return the documentation of a stimulus as a text in the form of numpydoc."""
    return as_text(stimulus_sections(stimulus))


def stimulus_sections(stimulus: type[DescribedStimulus]) -> list[Section]:
    """Return the sections of a stimulus's documentation, without those that would be empty.

    Parameters
    ----------
    stimulus : type
        A class that `documented` knows.
    """
    parts = parse_docstring(class_docstring(stimulus))
    intro, source = split_source(parts.pop("", ""))
    own = parse_entries(parts.pop("Parameters", ""))
    states = (Entry(name, state.unit, (state.doc,)) for name, state in stimulus.states.items())
    found = [
        Section("", tuple(intro.splitlines())),
        Section("Equations", stimulus.equations, is_code=True),
        Section("Parameters", entries=tuple(_parameters(stimulus, own))),
        Section("State variables", entries=tuple(states)),
        Section("Integration", stimulus.scheme),
        Section("Other simulators", entries=tuple(peer_entries(own_peers(stimulus)))),
        *(Section(title, tuple(text.splitlines())) for title, text in parts.items()),
        Section("References", tuple(source.splitlines())),
    ]
    return [section for section in found if section.lines or section.entries]


def _parameters(stimulus: type[DescribedStimulus], own: dict[str, Entry]) -> Iterable[Entry]:
    """Yield the parameters with their units, ranges and defaults."""
    for name, argument in inspect.signature(stimulus).parameters.items():
        entry = own[name]
        unit, allowed = stimulus.quantities.get(name, ("", ANY))
        parts = [entry.kind, unit, "" if allowed == ANY else str(allowed)]
        if argument.default not in (argument.empty, None):
            parts.append(f"default {argument.default}")
        yield replace(entry, kind=", ".join(filter(None, parts)))
