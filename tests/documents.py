"""Scripts and examples in documents, so that tests run what readers see."""

from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def marked(page: str, name: str, language: str = "python") -> str:
    """Return the code of a page of docs/ that follows the comment ``<!-- NAME -->``."""
    text = (DOCS / page).read_text(encoding="utf-8")
    begin = f"<!-- {name} -->\n```{language}\n"
    assert text.count(begin) == 1, f"{page} has lost {begin!r}"
    return text.partition(begin)[2].partition("```")[0]
