"""For mkdocs: links out of docs/ are files of the repository, which the site does not hold; their text stays."""

import re
from typing import Any

OUTSIDE = re.compile(r"(?<!!)\[([^\]]*)\]\(\.\./[^)]*\)")


def on_page_markdown(markdown: str, page: Any, **kwargs: Any) -> str:
    """Of pages in docs/ itself; those in docs/api link inside."""
    return markdown if page.file.src_uri.startswith("api/") else OUTSIDE.sub(r"\1", markdown)
