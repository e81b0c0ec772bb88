"""Ready files to copy and edit: scaling experiments, seeds, an analysis on a cluster of Dask's."""

from importlib.resources import files

from distsnn.errors import unknown_name_error

_FILES = {
    # not .py: it is not part of the package, and imports libraries that the package must not import
    "dask-analysis": "dask_analysis.txt",
    "scaling": "scaling.sh",
    "seeds": "seeds.sh",
}


def names() -> list[str]:
    """Return the templates' names."""
    return sorted(_FILES)


def template(name: str) -> str:
    """Return a template's text.

    Raises
    ------
    DescriptionError
        If no template has this name.
    """
    if name not in _FILES:
        raise unknown_name_error("template", name, _FILES, where="--template")
    return files(__name__).joinpath(_FILES[name]).read_text(encoding="utf-8")
