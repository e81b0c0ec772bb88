"""Descriptions as JSON-able data plus named arrays, and back."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from inspect import isabstract, signature
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.errors import DescriptionError, unknown_name_error
from distsnn.network.base import ADDED, Description, FrozenMapping
from distsnn.network.equations.declarations import EquationModelBase
from distsnn.network.equations.neuron_model import NeuronModel
from distsnn.network.equations.plasticity_model import PlasticityModel
from distsnn.network.equations.transmission_model import TransmissionModel
from distsnn.network.model import Neuron, SynapseModel
from distsnn.network.registry import get_neuron_model, get_synapse_model

Arrays = dict[str, npt.NDArray[Any]]
Classes = Mapping[str, type[Description]]

# Descriptions are written with their class's name, models with their name in the registry, or with
# their equations; what JSON lacks is written as an object with one of these keys.
_CLASS, _MODEL, _SYNAPSE, _FIELDS = "is", "model", "synapse", "fields"
_ARRAY, _FLOAT, _MAP = "array", "float", "map"


def parts(value: object) -> Iterator[Description]:
    """Yield a description and all descriptions in it, each before its parts."""
    if isinstance(value, Description):
        yield value
        value = tuple(getattr(value, field.name) for field in fields(value))
    elif isinstance(value, FrozenMapping):
        value = tuple(value.values())
    if isinstance(value, tuple):
        for item in value:
            yield from parts(item)


def user_classes(network: Description) -> list[type]:
    """Return the user-defined classes of a network: models, rules, distributions, stimuli."""
    classes = dict.fromkeys(type(part) for part in parts(network))
    return [cls for cls in classes if cls.__module__.partition(".")[0] != "distsnn"]


def encode(
    value: object, path: str, arrays: Arrays, classes: Classes, fingerprints: bool = True
) -> Any:
    """Return JSON-able data for a description or one of its values.

    Parameters
    ----------
    value : object
        A description, array, mapping, sequence, number, string or None.
    path : str
        Path of the value, under which an array is filed.
    arrays : dict
        Gets the arrays.
    classes : mapping of str to type
        Descriptions by class name.
    fingerprints : bool
        Whether size and hash of the files that it names are filled in.

    Raises
    ------
    DescriptionError
        If a class is stored by a name that does not find it again.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT: repr(value)}
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {_ARRAY: path}
    if isinstance(value, tuple):
        return [
            encode(item, f"{path}/{index}", arrays, classes, fingerprints)
            for index, item in enumerate(value)
        ]
    if isinstance(value, FrozenMapping):
        return {
            _MAP: {
                key: encode(item, f"{path}/{key}", arrays, classes, fingerprints)
                for key, item in value.items()
            }
        }
    if isinstance(value, Description):
        value = value.stored() if fingerprints else value
        items = {}
        for field in fields(value):
            if field.metadata.get(ADDED) and _is_default(getattr(value, field.name), field.default):
                continue
            field_path = f"{path}/{field.name}" if path else field.name
            items[field.name] = encode(
                getattr(value, field.name), field_path, arrays, classes, fingerprints
            )
        tag, name = _stored_name(value)
        if isinstance(value, EquationModelBase):
            model = encode(value.model, f"{path}/model", arrays, classes, fingerprints)
            return {tag: model, _FIELDS: items}
        _check_found(type(value), _model_class(tag, name, classes, path), name, path)
        return {tag: name, _FIELDS: items}
    raise TypeError(f"a {type(value).__name__} has no place in a description")


def _is_default(value: object, default: object) -> bool:
    return value is default or (isinstance(value, float) and value == default)


def decode(
    data: Any,
    arrays: Mapping[str, npt.NDArray[Any]],
    classes: Classes,
    path: str = "network",
) -> Any:
    """Return what `encode` was given.

    Parameters
    ----------
    data : object
        JSON-able data.
    arrays : mapping of str to ndarray
        The arrays.
    classes : mapping of str to type
        Descriptions by class name.
    path : str
        Where `data` stands, for errors.

    Raises
    ------
    DescriptionError
        If a class, model or array is unknown, or the description is not valid.
    """
    if isinstance(data, list):
        return [decode(item, arrays, classes, f"{path}[{i}]") for i, item in enumerate(data)]
    if not isinstance(data, dict):
        return data
    if _FLOAT in data:
        if data[_FLOAT] not in ("inf", "-inf", "nan"):
            raise DescriptionError("not a stored number", where=path, value=data[_FLOAT])
        return float(data[_FLOAT])
    if _ARRAY in data:
        if not isinstance(data[_ARRAY], str) or data[_ARRAY] not in arrays:
            raise unknown_name_error("stored array", data[_ARRAY], arrays, where=path)
        return np.asarray(arrays[data[_ARRAY]])
    if _MAP in data:
        return _decoded_items(data[_MAP], arrays, classes, path)
    if _FIELDS not in data:
        raise DescriptionError("not a stored description", where=path, value=sorted(data))
    tag = next((each for each in (_MODEL, _SYNAPSE, _CLASS) if each in data), _CLASS)
    name = data.get(tag)
    cls: type[Description] | None = None
    if isinstance(name, dict):
        model = decode(name, arrays, classes, f"{path}.model")
        if isinstance(model, NeuronModel):
            cls = model.neuron
        elif isinstance(model, PlasticityModel | TransmissionModel):
            cls = model.synapse
    elif isinstance(name, str):
        cls = _model_class(tag, name, classes, path)
    if cls is None or isabstract(cls):
        raise unknown_name_error("kind of description", name, classes, where=path)
    items = _decoded_items(data[_FIELDS], arrays, classes, path)
    _check_fields(cls, items, path)
    return cls(**items)


def _stored_name(value: Description) -> tuple[str, str]:
    """Return the tag and the name that a description's class is stored with."""
    if isinstance(value, Neuron | SynapseModel):
        return (_MODEL if isinstance(value, Neuron) else _SYNAPSE), value.name
    return _CLASS, type(value).__name__


def _model_class(tag: str, name: str, classes: Classes, path: str) -> type[Description]:
    """Return the class of a stored name. A user-defined class is code, which no store holds."""

    def described(name: str) -> type[Description]:
        if name not in classes:
            raise unknown_name_error("kind of description", name, classes)
        return classes[name]

    named: dict[str, Callable[[str], type[Description]]] = {
        _MODEL: get_neuron_model,
        _SYNAPSE: get_synapse_model,
        _CLASS: described,
    }
    try:
        return named[tag](name)
    except DescriptionError as error:
        raise DescriptionError(
            error.problem,
            where=path,
            allowed=error.allowed,
            hint="if your own file defines the class, name this file as MODEL, also with --resume "
            "RUN; in Python, import it first",
            nearest=error.nearest,
        ) from error


def _check_found(cls: type, stored_class: type, name: str, path: str) -> None:
    """Raise DescriptionError if a class is not what its stored name finds."""
    encoded_class, named_class = (
        f"{candidate.__module__}.{candidate.__qualname__}" for candidate in (cls, stored_class)
    )
    # a file that was loaded again has other classes of the same names
    if encoded_class != named_class:
        raise DescriptionError(
            f"{encoded_class} is stored by its name, which is also the name of {named_class}",
            where=path or "network",
            value=name,
            hint="give it a name of its own, and put @neuron_model or @synapse_model before a "
            "model's class",
        )


def _decoded_items(
    items: Any,
    arrays: Mapping[str, npt.NDArray[Any]],
    classes: Classes,
    path: str,
) -> dict[str, Any]:
    if not isinstance(items, dict):
        raise DescriptionError("not stored fields", where=path, value=items)
    return {key: decode(item, arrays, classes, f"{path}.{key}") for key, item in items.items()}


def _check_fields(cls: type[Description], items: dict[str, Any], path: str) -> None:
    """Raise DescriptionError if the constructor does not take the fields, or needs others."""
    arguments = signature(cls).parameters
    for name in items:
        if name not in arguments:
            raise DescriptionError(
                f"the constructor of {cls.__name__} does not take the field {name!r}",
                where=path,
                allowed=", ".join(arguments),
            )
    for name, argument in arguments.items():
        if (
            argument.default is argument.empty
            and name not in items
            and argument.kind is argument.POSITIONAL_OR_KEYWORD
        ):
            raise DescriptionError(f"field {name!r} of {cls.__name__} is missing", where=path)
