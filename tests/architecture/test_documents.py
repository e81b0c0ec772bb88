"""Documents cannot rot silently: links lead somewhere, and the README's test command is CI's."""

import re
import subprocess
import sys

import pytest
from source_rules import ROOT

PAGES = [
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/**/*.md")
    for path in sorted(ROOT.glob(pattern))
]
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def dead_links(text: str, exists) -> list[str]:
    """Return the links of a page to files that do not exist (web addresses are not followed)."""
    targets = ((one or other).partition("#")[0] for one, other in LINK.findall(text))
    return [target for target in targets if target and "://" not in target and not exists(target)]


def readme_command(name: str, text: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / ".ci" / "readme_command.py"
    return subprocess.run(
        [sys.executable, script, name], input=text, capture_output=True, text=True
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_to_files(page) -> None:
    found = dead_links(page.read_text(encoding="utf-8"), lambda link: (page.parent / link).exists())
    assert found == []


def test_a_dead_link_is_found() -> None:
    text = 'See [a](docs/a.md#x), [b](https://example.org/b), <img src="c.png"> and [d](#e).'
    assert dead_links(text, lambda _: False) == ["docs/a.md", "c.png"]


def test_the_readme_has_the_command_that_ci_runs() -> None:
    done = readme_command("test", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert done.returncode == 0, done.stderr
    assert "pytest" in done.stdout


COMMAND = "python3 -m venv v && v/bin/pytest"
BLOCK = f"<!-- command: test -->\n```bash\n{COMMAND}\n```\n"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (BLOCK, COMMAND),
        (
            f"# x\n```bash\nls\n```\n\n{BLOCK}\n```bash\nls\n```\n",
            "python3 -m venv v && v/bin/pytest",
        ),
        ("```bash\npython3 -m venv v\n```\n", None),
        (BLOCK + BLOCK, None),
        (BLOCK.replace("python3 -m venv", "pip install"), None),
    ],
)
def test_a_readme_command_is_marked_single_and_self_contained(
    text: str, command: str | None
) -> None:
    done = readme_command("test", text)
    assert (done.stdout.strip() or None) == command
    assert (done.returncode == 0) == (command is not None)


def test_the_page_for_contributors_has_minutes_for_each_command() -> None:
    rows = re.findall(r"^\| .+ \| `.+ \| (.+) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    assert len(rows) == 8
    assert all(re.fullmatch(r"(under |about )?\d+(, .+)?", minutes) for minutes in rows), rows
