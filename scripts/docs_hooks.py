# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Hooks of MkDocs: links that leave docs/ work in the site as they do on GitHub.

A link to another file of the repository becomes a link to the repository; an image outside docs/
is copied into the site. CONTRIBUTING.md and CHANGELOG.rst become pages, and links lead to them.
"""

import posixpath
import re
from pathlib import Path
from typing import Any, Final

from docutils.core import publish_parts
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
LINK: Final = re.compile(r'(?P<start>\]\()(?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?=\))')
LITERAL: Final = re.compile(r'<span class="docutils literal">(.*?)</span>', re.DOTALL)
IMAGES: Final = ('.png', '.svg', '.gif', '.jpg')
BRANCH: Final = 'main'
COPIED: Final = 'repository'  # folder of the site for images from outside docs/

#: Files outside docs/ that become pages of the site.
PAGES: Final = {'CONTRIBUTING.md': 'contributing.md', 'CHANGELOG.rst': 'changelog.md'}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and images that are outside docs/."""
    if files.get_file_from_path('contributing.md') is None:
        text = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
        text = rewrite(text, '', str(config.repo_url))
        files.append(File.generated(config, 'contributing.md', content=text))
    files.append(File.generated(config, 'changelog.md', content=changelog()))
    for page in list(files.documentation_pages()):
        for match in LINK.finditer(page.content_string):
            path = posixpath.normpath(posixpath.join('docs', folder_of(page), match['target']))
            copy = f'{COPIED}/{path}'
            if is_copied(path) and files.get_file_from_path(copy) is None:
                files.append(File.generated(config, copy, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Rewrite the links of a page that leave docs/."""
    if page.file.generated_by:
        return markdown
    return rewrite(markdown, posixpath.join('docs', folder_of(page.file)), str(config.repo_url))


def folder_of(page: File) -> str:
    """Return the folder of a page, below docs/."""
    return posixpath.dirname(page.src_uri)


def is_copied(path: str) -> bool:
    """Return whether a path below the root is an image outside docs/."""
    return path.endswith(IMAGES) and not path.startswith('docs/')


def rewrite(markdown: str, folder: str, repository: str) -> str:
    """
    Return a page with its links out of docs/ rewritten.

    :param folder: of the source, below the root; a page from outside docs/ is shown in docs/
    :raises PluginError: on a link to a file that does not exist
    """
    shown = folder if folder.startswith('docs') else 'docs'

    def replace(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match['target']))
        anchor = match['anchor'] or ''
        if not path.startswith('docs/'):
            if path.startswith('..') or not (ROOT / path).exists():
                raise PluginError(f'{folder or "."}: link to {match["target"]}: no such file')
            if path in PAGES:
                path = f'docs/{PAGES[path]}'
            elif is_copied(path):
                path = f'docs/{COPIED}/{path}'
            else:
                kind = 'tree' if (ROOT / path).is_dir() else 'blob'
                return f'{match["start"]}{repository}/{kind}/{BRANCH}/{path}{anchor}'
        return f'{match["start"]}{posixpath.relpath(path, shown)}{anchor}'

    return LINK.sub(replace, markdown)


def changelog() -> str:
    """Return CHANGELOG.rst as a page: HTML, which Markdown passes on."""
    text = (ROOT / 'CHANGELOG.rst').read_text(encoding='utf-8')
    settings = {
        'initial_header_level': 1, 'doctitle_xform': False, 'report_level': 2, 'halt_level': 2,
    }  # fmt: skip
    body = publish_parts(text, writer='html5', settings_overrides=settings)['html_body']
    body = re.sub(r'<h1>.*?</h1>', '', body)  # the page has a title
    body = LITERAL.sub(r'<code>\1</code>', body)
    lines = [line for line in body.splitlines() if line.strip()]  # a blank line ends HTML
    return '# Changelog\n\n' + '\n'.join(lines) + '\n'
