"""The figures of a run as a picture: a bar for each contestant, made of what it made twice in each scenario."""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from benchmarks.support.picture import picture
from duel.support.results import Result, Run

WIDTH, LEFT, RIGHT = 860, 190, 190
TOP, ROW, BAR = 64, 34, 20
LEGEND_ROW, LEGEND_COLUMN = 22, 210
COLOURS = ("#c2410c", "#d97706", "#7c3aed", "#0891b2", "#65a30d", "#db2777", "#2563eb", "#64748b")


def chart(run: Run) -> str:
    """An SVG picture."""
    legend_top = TOP + ROW * len(run.results) + 18
    legend = list(_legend(run, legend_top))
    height = legend_top + LEGEND_ROW * -(-len(run.titles) // 3) + 8
    title = "Records made twice in Pipedrive"
    return picture(title, run.heading, WIDTH, height, [*_bars(run), *legend])


def _bars(run: Run) -> Iterator[str]:
    most = max(1, *(result.total.doubles for result in run.results))
    for number, result in enumerate(run.results):
        middle = TOP + ROW * number + ROW // 2
        yield f'<text x="{LEFT - 10}" y="{middle + 4}" text-anchor="end">{escape(result.name)}</text>'
        x = float(LEFT)
        for scenario, colour in zip(run.titles, COLOURS, strict=False):
            doubles = result.verdicts[scenario].doubles if scenario in result.verdicts else 0
            width = (WIDTH - LEFT - RIGHT) * doubles / most
            if doubles:
                box = f'x="{x:.1f}" y="{middle - BAR // 2}" width="{width:.1f}" height="{BAR}" fill="{colour}"'
                yield f"<rect {box}><title>{escape(scenario)}: {doubles:,}</title></rect>"
            x += width
        yield f'<text class="quiet" x="{x + 8:.1f}" y="{middle + 4}">{_label(result)}</text>'
    yield f'<line class="line" x1="{LEFT}" y1="{TOP}" x2="{LEFT}" y2="{TOP + ROW * len(run.results)}"/>'


def _label(result: Result) -> str:
    if result.unmeasured:
        return "not measured"
    return f"{result.total.doubles:,} twice, {result.total.missing:,} missing"


def _legend(run: Run, top: int) -> Iterator[str]:
    for number, (scenario, colour) in enumerate(zip(run.titles, COLOURS, strict=False)):
        x, y = LEFT + LEGEND_COLUMN * (number % 3), top + LEGEND_ROW * (number // 3)
        yield f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{x + 18}" y="{y + 11}">{escape(scenario)}</text>'
