"""Pages of the repository: links lead somewhere, figures have words, the gallery is true."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for folder in (".", "docs", "experiments", "experiments/templates")
    for path in (ROOT / folder).glob("*.md")
)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
ROW = re.compile(r"^\| [^|]+ \| [^|]*?`(python experiments/[^`]+)`[^|]*\| ([^|]+) \|", re.MULTILINE)
GALLERY = (ROOT / "experiments" / "README.md").read_text()


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as repository hosts and the site make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", h)).strip().lower() for h in headings)
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_figures_have_words(page):
    # A template's links are those of the page that is written from it.
    folder = ROOT / "docs" if page.parent.name == "templates" else page.parent
    for image, words, target in LINK.findall(FENCE.sub("", page.read_text())):
        assert words.strip(), target
        assert not image or len(words) > 10, f"say what {target} shows"
        if re.match(r"https?:", target) or "$" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (folder / name).resolve() if name else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_every_page_of_docs_is_in_the_navigation():
    named = set(re.findall(r": ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= named


@pytest.mark.parametrize(("command", "artefacts"), ROW.findall(GALLERY))
def test_the_gallery_names_scripts_their_options_and_what_they_write(command, artefacts):
    _, script, *options = shlex.split(command)
    source = (ROOT / script).read_text()
    runner = (ROOT / "experiments" / "_runner.py").read_text()
    for option in options:
        if option.startswith("--"):
            assert f'"{option}"' in source + runner, option
    said = ast.get_docstring(ast.parse(source)) or ""
    files = re.findall(r"`([^`]+)`", artefacts)
    assert files
    for name in files:
        assert Path(name).stem in said, f"{script} does not say that it writes {name}"


def test_the_gallery_has_most_experiments():
    studies = [path.name for path in (ROOT / "experiments").glob("[a-z]*.py")]
    assert len(ROW.findall(GALLERY)) >= 20
    assert {name for name in re.findall(r"experiments/(\w+\.py)", GALLERY)} <= set(studies)
