"""What a command writes into a document for people."""

import re
from pathlib import Path


def replace_part(path: Path, name: str, text: str) -> None:
    """What stands between the comments ``<!-- name: … -->`` and ``<!-- end of name -->``, each on a line of its own."""
    before = path.read_text(encoding="utf-8")
    between = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    after, replaced = between.subn(lambda found: found[1] + text + found[2], before)
    assert replaced == 1, (path, name)
    path.write_text(after, encoding="utf-8")
