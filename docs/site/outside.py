"""Pages link to files beside docs/ (a recipe, CONTRIBUTING.md): the site brings those along.

A hook of MkDocs. `docs/x.md` becomes `x.md` of the site, any other file `PATH` of the repository
`repo/PATH`; links are rewritten to match: the same text works on the site and in a checkout.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")
"""``](PATH#ANCHOR)`` without a scheme."""


def repository_path(page: str, link: str) -> str:
    """What `link` on `page` means, as a path in the repository; `page` is one as well."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def site_path(path: str) -> str:
    """Where the site has a file of the repository."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repo/{path}"


def repository_page(uri: str) -> str:
    """The file of the repository that the site's source `uri` is."""
    return uri.removeprefix("repo/") if uri.startswith("repo/") else f"docs/{uri}"


def outside(page: str) -> Iterator[str]:
    """Files beside docs/ that a page of the repository links to, if they are there."""
    for link in _LINK.finditer((ROOT / page).read_text(encoding="utf-8")):
        path = repository_path(page, link[2])
        if not path.startswith(("docs/", "..")) and (ROOT / path).is_file():
            yield path


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to, and what that links to in turn."""
    waiting = [repository_page(file.src_uri) for file in files.documentation_pages()]
    seen: set[str] = set()
    while waiting:
        for path in outside(waiting.pop()):
            if path in seen:
                continue
            seen.add(path)
            files.append(File.generated(config, site_path(path), abs_src_path=str(ROOT / path)))
            if path.endswith(".md"):
                waiting.append(path)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links as the site has them; one to a file that is nowhere stays, and fails the build."""
    here = repository_page(page.file.src_uri)
    folder = posixpath.dirname(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        there = site_path(repository_path(here, link[2]))
        return f"{link[1]}{posixpath.relpath(there, folder or '.')}{link[3]}"

    return _LINK.sub(moved, markdown)
