"""Adds the top-level documents to the site and fixes the links between them and `docs/`."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parent.parent
TOP = ("BUILD_NOTES.md", "CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the documents of the top."""
    for name in TOP:
        files.append(File.generated(config, name, content=(REPOSITORY / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Leads links between the top of the repository and `docs/` to the pages of the site."""
    source = page.file.src_uri
    if source in TOP:
        return LINK.sub(lambda link: link[1].removeprefix("docs/"), markdown)
    outside = "../" * (source.count("/") + 1)
    return LINK.sub(lambda link: link[1].removeprefix("../") if link[1].startswith(outside) else link[1], markdown)
