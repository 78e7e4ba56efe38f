# SPDX-License-Identifier: ISC
"""chart - a bar for each ratio, on a logarithmic scale, as SVG."""

import html
import math
import statistics

ROW = 18
LEFT = 330
WIDTH = 420
RIGHT = 120
TOP = 56
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def bars(rows, measures, ratios):
    """(label, min, median, max) of each measure of the first peer."""
    by = {}
    for name, measure, title, values in rows:
        if title != 'ceiling':
            by.setdefault((name, measure), []).append(values)
    found = []
    for (name, measure), values in by.items():
        r = len(values) > 1 and ratios(values[0], values[1],
                                       measures[measure][0])
        if r:
            found.append((f'{name}: {measure}', min(r),
                          statistics.median(r), max(r)))
    return found


def svg(found, run):
    low = min([1, *(b[1] for b in found)])
    high = max([10, *(b[3] for b in found)])

    def x(ratio):
        return LEFT + WIDTH * math.log(ratio / low) / math.log(high / low)

    height = TOP + ROW * len(found) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="'
           f'{LEFT + WIDTH + RIGHT}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="#fff"/>',
           '<text x="8" y="20" font-size="15">relayd beside Postfix: how '
           'many times better (right of 1) or worse</text>',
           f'<text x="8" y="38" fill="#666">{html.escape(run["commit"])}, '
           f'{html.escape(run["cpu"])}; median, and the range of the pairs'
           '</text>']
    for tick in TICKS:
        if low <= tick <= high:
            out.append(
                f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" '
                f'y2="{height - 24}" stroke="{"#333" if tick == 1 else "#ddd"}'
                f'"/><text x="{x(tick):.1f}" y="{height - 8}" '
                f'text-anchor="middle" fill="#666">{tick:g}</text>')
    for n, (label, least, middle, most) in enumerate(found):
        y = TOP + ROW * n
        begin, end = sorted((x(1), x(middle)))
        colour = '#3572b0' if middle >= 1 else '#b04a35'
        out.append(
            f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">'
            f'{html.escape(label)}</text>'
            f'<rect x="{begin:.1f}" y="{y + 3}" width="{end - begin:.1f}" '
            f'height="12" fill="{colour}"/>'
            f'<line x1="{x(least):.1f}" x2="{x(most):.1f}" y1="{y + 9}" '
            f'y2="{y + 9}" stroke="#111" stroke-width="1.5"/>'
            f'<text x="{max(x(most), x(1)) + 6:.1f}" y="{y + 13}">'
            f'{middle:.1f}</text>')
    return '\n'.join([*out, '</svg>', ''])
