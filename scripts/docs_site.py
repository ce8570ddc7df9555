"""Hooks of the documentation site: pages that do not stand in docs/, links, and formulas.

README, CONTRIBUTING, CHANGELOG and the gallery of experiments become pages, and their links go to
pages of the site; a link to a file that is no page is left as words. Notebooks are rendered with
the outputs they were saved with. The reference has every name of the stubs ``__init__.pyi``.
Formulas become MathML here, so that a page needs no script for them.
"""

from __future__ import annotations

import ast
import html
import importlib
import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Any

from griffe import Extension  # pyright: ignore[reportMissingImports]
from latex2mathml.converter import convert  # pyright: ignore[reportMissingImports]
from mkdocs.exceptions import PluginError  # pyright: ignore[reportMissingImports]
from mkdocs.structure.files import File  # pyright: ignore[reportMissingImports]

ROOT = Path(__file__).resolve().parents[1]
# Page of the site -> file of the repository, for those that do not stand in docs/.
ELSEWHERE = {
    "index.md": "README.md",
    "extend.md": "CONTRIBUTING.md",
    "changes.md": "CHANGELOG.md",
    "gallery.md": "experiments/README.md",
}
_LINK = re.compile(
    r"(?P<image>!?)\[(?P<words>(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\((?P<to>[^)\s]+)\)"
)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_ROLE = re.compile(r":(?:func|class|meth|attr|data|mod):`~?([\w.]+)`")
_MATH = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """Add pages that are made here."""
    for page, source in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for name, content in notebook_pages(path).items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    for package in ("", *packages()):
        name = f"api/{package or 'index'}.md"
        files.append(File.generated(config, name, content=reference(package)))
    return files


def notebook_pages(path: Path) -> dict[str, str | bytes]:
    """A saved notebook as a page, and its pictures, by name of file."""
    import nbformat  # pyright: ignore[reportMissingImports]
    from nbconvert import MarkdownExporter  # pyright: ignore[reportMissingImports]

    body, resources = MarkdownExporter().from_notebook_node(nbformat.read(path, as_version=4))
    heading, count, lines = path.stem, 0, []
    pictures: dict[str, str | bytes] = {}
    for line in body.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if found := re.fullmatch(r"!\[png\]\((.+)\)", line.strip()):
            count += 1
            name = f"{path.stem}_{count}.png"
            pictures[name] = resources["outputs"][found[1]]
            line = f"![Picture {count}: {heading}]({name})"
        lines.append(line)
    return {f"{path.stem}.md": "\n".join(lines) + "\n", **pictures}


def packages() -> list[str]:
    """Second-level packages of the public face."""
    return [name for name, (module, _) in public("").items() if not module]


def public(package: str) -> dict[str, tuple[str, str]]:
    """Public names of a package -> the module that defines each, and its name there.

    Args:
        package: of the second level; empty for ``sloth_jax`` itself.
    """
    folder = ROOT / "sloth_jax" / package
    names: dict[str, tuple[str, str]] = {}
    for node in parsed(folder / "__init__.pyi").body:
        if isinstance(node, ast.ImportFrom):
            inside = ".".join(filter(None, ("sloth_jax", package, node.module)))
            for alias in node.names:
                names[alias.asname or alias.name] = (inside if node.module else "", alias.name)
    return names


def reference(package: str) -> str:
    """The page of a package: its docstring, a list of its names, and each of them."""
    face = f"sj.{package}" if package else "sj"
    lines = [f"# {face}", "", docstring_of(package).split("\n\n")[0], ""]
    inner = [] if package else packages()
    known = {where for name in inner for where in public(name).values()}
    if not package:
        lines += ["`import sloth_jax as sj`. " + str(len(public(""))) + " names:", ""]
    lines += ["| name | what it is |", "| --- | --- |"]
    for name, (module, defined) in sorted(public(package).items()):
        if module and (said := first_line(module, defined)):
            lines.append(f"| [`{name}`][{module}.{defined}] | {said} |")
        elif module:
            lines.append(f"| `{name}` | constant, `{value(module, defined)!r}` |")
        else:
            lines.append(f"| [`sj.{name}`]({name}.md) | {docstring_of(name).splitlines()[0]} |")
    for name, (module, defined) in sorted(public(package).items()):
        if module and (module, defined) not in known and first_line(module, defined):
            options = f"    options:\n      heading: {face}.{name}\n      toc_label: {name}"
            lines += ["", f"::: {module}.{defined}", options]
    return "\n".join(lines) + "\n"


@cache
def parsed(path: Path) -> ast.Module:
    """The code of a file."""
    return ast.parse(path.read_text())


def docstring_of(package: str) -> str:
    """What a package says of itself."""
    return ast.get_docstring(parsed(ROOT / "sloth_jax" / package / "__init__.py")) or ""


def first_line(module: str, name: str) -> str:
    """The first line of a docstring; nothing of a constant."""
    for node in parsed(ROOT / (module.replace(".", "/") + ".py")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            said = (ast.get_docstring(node) or "").splitlines()[0].replace("|", "\\|")
            return _ROLE.sub(lambda found: cross_reference(found[1]), said)
    return ""


def value(module: str, name: str) -> object:
    """What a constant is."""
    return getattr(importlib.import_module(module), name)


def on_page_markdown(markdown: str, page: Any, files: Any, **_: Any) -> str:
    """Point links of the repository to pages of the site."""
    here = page.file.src_uri
    if here.startswith("api/"):
        return markdown
    if here == "gallery.md":  # wide tables
        page.meta["hide"] = ["navigation", "toc"]
    source = ELSEWHERE.get(here, "notebooks/x" if here.startswith("notebooks/") else f"docs/{here}")
    pages = {file.src_uri for file in files}

    def turn(found: re.Match[str]) -> str:
        to, _, anchor = found["to"].partition("#")
        words = found["words"]
        if not to or re.match(r"[a-z]+:", to) or (here.startswith("notebooks/") and to in pages):
            return f"{found['image']}[{words}]({found['to']})"
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), to))
        target = site_page(path)
        if here.startswith("notebooks/") and f"notebooks/{to}" in pages:
            target = f"notebooks/{to}"
        if target not in pages:  # a file of the repository, or a mistake, which is left to be found
            return words if (ROOT / path).exists() else found[0]
        there = posixpath.relpath(target, posixpath.dirname(here) or ".")
        return f"{found['image']}[{words}]({there}{'#' + anchor if anchor else ''})"

    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(turn, markdown[end : fence.start()]), as_block(fence[0])]
        end = fence.end()
    return "".join([*parts, _LINK.sub(turn, markdown[end:])])


def as_block(fence: str) -> str:
    """A fenced block: a formula as MathML, a file with its name as title, others as they are."""
    first, _, rest = fence.partition("\n")
    if first == "```math":
        return f"<div>{mathml(rest.removesuffix('```'), True)}</div>"
    language, _, name = first.partition(" ")
    return f'{language} title="{name}"\n{rest}' if name else fence


def site_page(path: str) -> str:
    """Where a file of the repository is on the site."""
    for page, source in ELSEWHERE.items():
        if path == source:
            return page
    if path.startswith("notebooks/"):
        return path.rsplit(".", 1)[0] + ".md"
    return path.removeprefix("docs/") if path.startswith("docs/") else f"../{path}"


def on_page_content(content: str, **_: Any) -> str:
    """Formulas in lines of text as MathML."""
    return _MATH.sub(lambda found: mathml(found[1], False), content)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that shows what it should not.

    Raises:
        PluginError: where a picture has no words, or something is loaded from elsewhere.
    """
    for tag in re.findall(r"<(?:img|script|link)\b[^>]*>", output):
        if tag.startswith("<img") and not re.search(r'\balt="[^"]+"', tag):
            raise PluginError(f"{page.file.src_uri}: a picture without a text in its place: {tag}")
        if re.search(r'(?:src|href)="(?:https?:)?//', tag):
            raise PluginError(f"{page.file.src_uri}: loaded from elsewhere: {tag}")
    return output


def mathml(tex: str, block: bool) -> str:
    """A formula as MathML."""
    return convert(html.unescape(tex).strip(), display="block" if block else "inline")


class Roles(Extension):
    """Names in docstrings, written as Sphinx has them, become links."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Turn the docstring of one object."""
        if obj.docstring:
            text = obj.docstring.value.replace("::\n\n", ":\n\n")  # before a block of code
            obj.docstring.value = _ROLE.sub(lambda found: cross_reference(found[1]), text)


def cross_reference(path: str) -> str:
    """A link to a name, where the reference has it; else the name."""
    head, _, name = path.rpartition(".")
    package = head.removeprefix("sloth_jax").lstrip(".")
    if package in ("", *packages()) and name in public(package):
        module, defined = public(package)[name]
        path = f"{module}.{defined}" if module else path
    shown = f"<code>{html.escape(name or path)}</code>"
    return f'<autoref identifier="{html.escape(path)}" optional>{shown}</autoref>'
