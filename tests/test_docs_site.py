"""What the site's hooks do to pages: links, formulas, notebooks, names."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("mkdocs")
pytest.importorskip("latex2mathml")
pytest.importorskip("griffe")

ROOT = Path(__file__).resolve().parents[1]
HOOKS = runpy.run_path(str(ROOT / "scripts" / "docs_site.py"))
FILES = [
    SimpleNamespace(src_uri=name)
    for name in ("index.md", "data.md", "extend.md", "picture.png", "notebooks/one.md")
]


def turned(page: str, text: str) -> str:
    of = SimpleNamespace(file=SimpleNamespace(src_uri=page), meta={})
    return HOOKS["on_page_markdown"](text, page=of, files=FILES)


@pytest.mark.parametrize(
    ("page", "link", "target"),
    [
        ("index.md", "docs/data.md#a-table", "data.md#a-table"),  # from README
        ("index.md", "notebooks/one.ipynb", "notebooks/one.md"),
        ("data.md", "../CONTRIBUTING.md", "extend.md"),
        ("data.md", "../README.md#two-commands", "index.md#two-commands"),
        ("data.md", "picture.png", "picture.png"),
        ("notebooks/one.md", "../docs/data.md", "../data.md"),
        ("data.md", "https://example.org/x.md", "https://example.org/x.md"),
        ("data.md", "nowhere.md", "nowhere.md"),  # for the build to find
    ],
)
def test_links_go_to_pages_of_the_site(page, link, target):
    assert turned(page, f"See [it]({link}).") == f"See [it]({target})."


def test_a_file_that_is_no_page_is_left_as_words():
    assert turned("index.md", "the [licence](LICENSE)") == "the licence"


def test_blocks_keep_their_links_and_formulas_need_no_script():
    block = "```sh\ncat [a](LICENSE)\n```"
    assert turned("index.md", block) == block
    named = turned("index.md", "```csv query.csv\nmodel\n```")
    assert named == '```csv title="query.csv"\nmodel\n```'
    assert "<math" in turned("index.md", "```math\n\\theta_m = B^\\top x\n```")


def test_a_page_with_a_picture_without_words_is_refused():
    page = SimpleNamespace(file=SimpleNamespace(src_uri="data.md"))
    good = '<img alt="Loadings" src="a.png">'
    assert HOOKS["on_post_page"](good, page=page) == good
    for bad in ('<img src="a.png">', '<script src="https://example.org/a.js">'):
        with pytest.raises(Exception, match=r"data\.md: (a picture|loaded from)"):
            HOOKS["on_post_page"](bad, page=page)


def test_notebooks_keep_outputs_and_their_pictures_have_words():
    path = ROOT / "notebooks" / "03_downstream_and_pass_at_k.ipynb"
    pages = HOOKS["notebook_pages"](path)
    text = pages.pop(f"{path.stem}.md")
    shown = [
        out for cell in json.loads(path.read_text())["cells"] for out in cell.get("outputs", [])
    ]
    pictures = sum("image/png" in out.get("data", {}) for out in shown)
    assert len(pages) == pictures == text.count("![Picture ")
    assert all(content.startswith(b"\x89PNG") for content in pages.values())


def test_the_reference_has_every_public_name():
    import sloth_jax as sj

    listed = HOOKS["reference"]("")
    assert all(f"`{name}`" in listed or f"`sj.{name}`" in listed for name in sj.__all__)
    for package in HOOKS["packages"]():
        listed = HOOKS["reference"](package)
        assert all(f"`{name}`" in listed for name in getattr(sj, package).__all__)
