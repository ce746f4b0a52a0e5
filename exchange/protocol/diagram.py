"""A picture of states and the events between them, as SVG.

A table says what the states and changes are; who draws it says where a box stands and which way an arrow takes.  The
picture has a background of its own and a second set of colours for readers with a dark screen.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from typing import Generic, TypeVar

BOX_WIDTH, BOX_HEIGHT = 236, 108
LINE = 17
Point = tuple[int, int]
S = TypeVar("S", bound=StrEnum)

STYLE = """\
    .paper { fill: #ffffff }
    .box { fill: #f3f5f8; stroke: #57606a; stroke-width: 1.2 }
    .end { fill: #ffffff; stroke: #57606a; stroke-width: 1.2; stroke-dasharray: 5 3 }
    .arrow { fill: none; stroke: #57606a; stroke-width: 1.4 }
    .tip { fill: #57606a }
    text { font-family: sans-serif; font-size: 13px; text-anchor: middle; fill: #1f2328 }
    .name { font-size: 16px; font-weight: bold }
    .small { font-size: 12px; fill: #424a53 }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #0d1117 }
      .box { fill: #1c2128; stroke: #8d96a0 }
      .end { fill: #0d1117; stroke: #8d96a0 }
      .arrow { stroke: #8d96a0 }
      .tip { fill: #8d96a0 }
      text { fill: #e6edf3 }
      .small { fill: #b1bac4 }
    }"""


@dataclass(frozen=True)
class Diagram(Generic[S]):
    """What to draw."""

    title: str
    origin: str  # what the picture is made from, for whoever opens the file
    size: Point
    prose: Mapping[S, str]  # of each state
    ends: frozenset[S]
    changes: Sequence[tuple[S, str, S]]  # state, event, next state
    places: Mapping[S, Point]  # the middle of each box
    #: The corners of each arrow, and the middle of its label.
    arrows: Mapping[tuple[S, S], tuple[tuple[Point, ...], Point]]
    joined: frozenset[S] = frozenset()  # states whose arrows have their labels in one line

    def render(self) -> str:
        width, height = self.size
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                f'viewBox="0 0 {width} {height}">',
                f"  <!-- {self.origin} -->",
                f"  <title>{self.title}</title>",
                f"  <style>\n{STYLE}\n  </style>",
                '  <defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
                'orient="auto"><path class="tip" d="M0,0 L10,5 L0,10 z"/></marker></defs>',
                f'  <rect class="paper" width="{width}" height="{height}"/>',
                *(line for pair in self.ways() for line in self.draw_arrow(*pair)),
                *(line for state in self.prose for line in self.draw_box(state)),
                "</svg>",
                "",
            ]
        )

    def ways(self) -> list[tuple[S, S]]:
        """From where to where anything leads, in the order of the table."""
        pairs = ((origin, target) for origin, _, target in self.changes if origin != target)
        return list(dict.fromkeys(pairs))

    def event_names(self, origin: S, target: S) -> list[str]:
        names = (event for a, event, b in self.changes if (a, b) == (origin, target))
        return list(dict.fromkeys(names))

    def draw_arrow(self, origin: S, target: S) -> Iterator[str]:
        corners, (x, y) = self.arrows[origin, target]
        path = " L".join(f"{a},{b}" for a, b in corners)
        yield f'  <path class="arrow" marker-end="url(#tip)" d="M{path}"/>'
        names = self.event_names(origin, target)
        if origin in self.joined:
            names = [" / ".join(names)]
        width = 8 + 7 * max(map(len, names))
        height = LINE * len(names)
        yield (
            f'  <rect class="paper" x="{x - width // 2}" y="{y - height // 2}" width="{width}" '
            f'height="{height}"/>'
        )
        for number, name in enumerate(names):
            yield f'  <text x="{x}" y="{y - height // 2 + LINE * number + 13}">{escape(name)}</text>'

    def draw_box(self, state: S) -> Iterator[str]:
        x, y = self.places[state]
        kind = "end" if state in self.ends else "box"
        lines = textwrap.wrap(self.prose[state], 34)
        stays = self.event_names(state, state)
        if stays:
            lines += textwrap.wrap("stays with " + ", ".join(stays), 34)
        height = max(BOX_HEIGHT, LINE * (len(lines) + 2))
        yield (
            f'  <rect class="{kind}" x="{x - BOX_WIDTH // 2}" y="{y - height // 2}" width="{BOX_WIDTH}" '
            f'height="{height}" rx="8"/>'
        )
        top = y - LINE * (len(lines) + 1) // 2
        yield f'  <text class="name" x="{x}" y="{top + 13}">{state}</text>'
        for number, line in enumerate(lines, start=1):
            yield f'  <text class="small" x="{x}" y="{top + 14 + LINE * number}">{escape(line)}</text>'
