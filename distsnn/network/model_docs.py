"""Documentation of a model, made from its text: what ``help(MODEL)`` and ``distsnn models`` show.

Docstrings of classes do not repeat their declarations. The headings are written as numpydoc's.
"""

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from textwrap import wrap
from typing import Any

from distsnn.network.base import derived
from distsnn.network.checks import ANY
from distsnn.network.model import PEERS, Model, Neuron, Parameter, SubsteppedNeuron
from distsnn.network.plastic_synapse import PlasticSynapse, StateDrivenSynapse

_HEADING = re.compile(r"^(\S.*)\n-{3,}$", re.MULTILINE)
# The paragraph of a docstring that names papers.
_SOURCE = re.compile(r"(?:^|(?<=\n\n)|(?<=\.\s))Source: (.+?)(?=\n\n|\Z)", re.DOTALL)

# Type of most parameters.
_VALUE = "float, array_like or Distribution"

# Maximum length of lines that are made here.
_WIDTH = 96


@dataclass(frozen=True)
class Entry:
    """A named item of a section: a parameter, state variable, receptor or the like.

    Attributes
    ----------
    name : str
        Name.
    kind : str
        Type, unit, range and default, as far as they apply.
    lines : tuple of str
        Its meaning.
    """

    name: str
    kind: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A part of a model's documentation.

    Attributes
    ----------
    title : str
        Heading; empty for the text at the start.
    lines : tuple of str
        Lines that come first.
    entries : tuple of Entry
        Items after them.
    is_code : bool
        Whether the lines are equations.
    """

    title: str
    lines: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    is_code: bool = False


def document(described: type, docstring: str, make: Callable[[Any], str] | None = None) -> None:
    """Make the documentation of a class its ``__doc__``, when this is first read.

    Parameters
    ----------
    described : type
        The class.
    docstring : str
        What the class itself says.
    make : callable, optional
        Returns the documentation of the class; by default that of a model.
    """
    type.__setattr__(described, "_docstring", docstring)
    type.__setattr__(described, "__doc__", derived(make or documentation))


def documentation(model: type[Model]) -> str:
    """Return the documentation of a model as a text in the form of numpydoc.

    Parameters
    ----------
    model : type of Model
        A class that `document` knows, or a subclass.
    """
    return as_text(sections(model, class_docstring(model), own_peers(model)))


def as_text(parts: Iterable[Section]) -> str:
    """Return sections as a text in the form of numpydoc."""
    lines: list[str] = []
    for section in parts:
        lines += [section.title, "-" * len(section.title)] if section.title else []
        indent = "    " if section.is_code else ""
        lines += [f"{indent}{line}".rstrip() for line in section.lines]
        for entry in section.entries:
            lines += [f"{entry.name} : {entry.kind}" if entry.kind else entry.name]
            lines += [f"    {line}".rstrip() for line in entry.lines]
        lines += [""]
    return "\n".join(lines)


def as_markdown(parts: Iterable[Section]) -> str:
    """Return sections as Markdown: parameters as a table, other entries as lists."""
    lines: list[str] = []
    for section in parts:
        lines += [f"**{section.title}**", ""] if section.title else []
        if section.is_code:
            lines += ["```text", *section.lines, "```"]
        else:
            # a block after two colons is code in Markdown because it is indented
            lines += [line[:-1] if line.endswith("::") else line for line in section.lines]
        if section.title == "Parameters":
            lines += ["| parameter | unit, range, default | meaning |", "|---|---|---|"]
            lines += map(_row, section.entries)
        else:
            lines += map(_item, section.entries)
        lines += [""]
    return "\n".join(lines)


def _row(entry: Entry) -> str:
    kind = entry.kind.removeprefix(f"{_VALUE}, ")
    cells = (f"`{entry.name}`", kind, " ".join(entry.lines))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _item(entry: Entry) -> str:
    kind = f" ({entry.kind})" if entry.kind else ""
    return f"- `{entry.name}`{kind}" + (f": {' '.join(entry.lines)}" if entry.lines else "")


def own_peers(model: type) -> Mapping[str, str] | None:
    """Return names in other simulators, if the class of a model or stimulus itself has any."""
    # a subclass of a built-in model is not what its base is elsewhere
    return vars(model).get("peers")


def peer_names(text: str) -> list[str]:
    """Return the names in a text of `Model.peers`."""
    return re.findall(r"`(\w+)`", text) or [text]


def sections(
    model: type[Model],
    docstring: str,
    peers: Mapping[str, str] | None = None,
    *,
    of_function: bool = False,
) -> list[Section]:
    """Return the sections of a model's documentation, without those that would be empty.

    Parameters
    ----------
    model : type of Model
        The class.
    docstring : str
        What the class, or the function that makes it, says.
    peers : mapping of str to str, optional
        Names in other simulators, if they are known.
    of_function : bool
        Whether the docstring is that of a function, which lists all parameters.
    """
    parts = parse_docstring(docstring)
    intro, source = split_source(parts.pop("", ""))
    own = parse_entries(parts.pop("Parameters", ""))
    references = "\n".join(filter(None, (source, parts.pop("References", ""))))
    found = [
        Section("", tuple(intro.splitlines())),
        Section("Equations", tuple(model.equation_lines()), is_code=True),
        Section(
            "Parameters", entries=tuple(own.values() if of_function else _parameters(model, own))
        ),
        Section("State variables", entries=tuple(_states(model))),
        Section("Sub-expressions that are recorded and read", entries=tuple(_following(model))),
        *_of_targets(model),
        *(_receptors(model) if issubclass(model, Neuron) else ()),
        Section("Integration", tuple(_integration(model))),
        Section("Other simulators", entries=tuple(peer_entries(peers))),
        *(Section(title, tuple(text.splitlines())) for title, text in parts.items()),
        Section("References", tuple(references.splitlines())),
    ]
    return [section for section in found if section.lines or section.entries]


def class_docstring(model: type) -> str:
    """Return what a class itself says, without what is made of its declarations."""
    text = vars(model).get("_docstring", vars(model).get("__doc__"))
    return text if isinstance(text, str) else ""


def parse_docstring(docstring: str) -> dict[str, str]:
    """Return the sections of a docstring by heading; what comes before them has none."""
    intro, *others = _HEADING.split(inspect.cleandoc(docstring))
    pairs = zip(others[::2], others[1::2], strict=True)
    return {"": intro.strip()} | {title: text.strip("\n") for title, text in pairs}


def split_source(text: str) -> tuple[str, str]:
    """Return a text without its sentence or paragraph on papers, and this."""
    match = _SOURCE.search(text)
    if match is None:
        return text, ""
    return (text[: match.start()] + text[match.end() :]).strip(), match[1]


def parse_entries(text: str) -> dict[str, Entry]:
    """Return the entries of a numpydoc section by name."""
    entries: dict[str, Entry] = {}
    names: list[str] = []
    for line in text.splitlines():
        if line[:1].strip():
            name, _, kind = line.partition(" : ")
            names = name.split(", ")
            entries |= {each: Entry(each, kind) for each in names}
        elif line.strip():
            for each in names:
                entry = entries[each]
                entries[each] = Entry(each, entry.kind, (*entry.lines, line.strip()))
    return entries


def _parameters(model: type[Model], own: dict[str, Entry]) -> Iterable[Entry]:
    """Yield declared parameters, further fields, and what the docstring says beyond these."""
    declared = model.parameters()
    for name, parameter in declared.items():
        further = own.pop(name).lines if name in own else ()
        kind = _kind(parameter, getattr(model, name))
        yield Entry(name, kind, (parameter.doc, *further))
    described: dict[str, Entry] = {}
    for base in reversed(model.__mro__[1:]):
        described |= parse_entries(parse_docstring(class_docstring(base)).get("Parameters", ""))
    for field in fields(model):
        if field.name in declared or not field.init:
            continue
        entry = own.pop(field.name, None) or described.get(field.name, Entry(field.name))
        with_default = field.default is not MISSING and field.default is not None
        default = [f"default {field.default!r}"] if with_default else []
        yield Entry(field.name, ", ".join(filter(None, [entry.kind, *default])), entry.lines)
    yield from own.values()


def _kind(parameter: Parameter, default: object) -> str:
    """Return a parameter's type, unit, range and default, as numpydoc writes them."""
    kind = "int" if parameter.integer else _VALUE
    parts = [kind, parameter.unit]
    parts += [] if parameter.allowed == ANY else [str(parameter.allowed)]
    parts += ["multiple of dt"] if parameter.multiple_of_dt else []
    return ", ".join([*parts, f"default {default}"])


def _states(model: type[Model]) -> Iterable[Entry]:
    # those of synapses may begin at a value that depends on parameters
    with_default = not issubclass(model, PlasticSynapse)
    for name, (state, owner) in model.documented_states().items():
        start = f"initially {state.default}" if with_default and state.default else ""
        yield Entry(name, ", ".join(filter(None, [state.unit, start, owner])), (state.doc,))


def _following(model: type[Model]) -> Iterable[Entry]:
    for name, value in (model.readable() if issubclass(model, Neuron) else {}).items():
        if name not in model.states:
            yield Entry(name, value.unit, (value.doc,))


def _of_targets(model: type[Model]) -> Iterable[Section]:
    if issubclass(model, StateDrivenSynapse):
        delayed = model.delayed_states
        text = "The target must have these state variables"
        text += f"; those that are delayed act {delayed} late." if delayed else "."
        yield Section("Targets", (text,), tuple(map(Entry, model.observed_states)))


def _receptors(model: type[Neuron]) -> Iterable[Section]:
    entries = []
    for name, unit in model.receptor_units().items():
        kind = ", ".join(filter(None, [unit, _weights(model, name)]))
        lines: tuple[str, ...] = ()
        if model.signed_receptors and name in model.signed_receptors:
            sign = ">= 0" if name == model.signed_receptors[0] else "< 0"
            lines = (f"receptor of weights {sign} where a projection names no receptor",)
        entries.append(Entry(name, kind, lines))
    if model.accepts_current:
        entries.append(Entry("current stimuli", "pA"))
    yield Section("Receptors", () if entries else ("It takes no input.",), tuple(entries))


def _weights(model: type[Neuron], receptor: str) -> str:
    allowed = model.allowed_weights.get(receptor, ANY)
    return "" if allowed == ANY else f"weights {allowed}"


def _integration(model: type[Model]) -> Iterable[str]:
    texts = [model.scheme]
    if issubclass(model, SubsteppedNeuron):
        neuron = model()
        texts.append(
            "A step has `substeps` parts: by default as few as keep each at most "
            f"{neuron.longest_part():.3g} ms long, if parameters have their defaults."
        )
        longest = neuron.longest_step()
        if math.isfinite(longest):
            texts.append(f"With dt above {longest:.3g} ms, rates may be off by more than 3 %.")
    for text in texts:
        yield from wrap(text, _WIDTH)


def peer_entries(peers: Mapping[str, str] | None) -> Iterable[Entry]:
    """Yield the names in each other simulator, if they are known."""
    if peers is not None:
        for peer, without_name in PEERS.items():
            yield Entry(peer, lines=(peers.get(peer, without_name),))
