"""SVG pictures for the documents, readable on a light and on a dark page."""

from collections.abc import Iterable
from xml.sax.saxutils import escape

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2933 }
.title { font-size: 15px; font-weight: 600 }
.quiet { fill: #52606d }
.line { stroke: #9aa5b1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7eb }
  .quiet { fill: #9aa5b1 }
  .line { stroke: #52606d }
}
"""


def picture(title: str, heading: str, width: int, height: int, parts: Iterable[str]) -> str:
    """Title and heading stand in its first 50 pixels, ``parts`` are the rest."""
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="24">{escape(title)}</text>',
        f'<text class="quiet" x="8" y="44">{escape(heading)}</text>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
