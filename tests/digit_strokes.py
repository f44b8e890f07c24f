"""How a digit of MNIST may have been written: its bitmap thinned to lines, and those followed by a pen."""

from __future__ import annotations

import numpy as np

AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]  # clockwise from above


def strokes_of(image: np.ndarray) -> list[list[tuple[float, float]]]:
    """Lists of points (x, y) in pixels, from a bitmap of bytes."""
    line = {(int(y), int(x)) for y, x in np.argwhere(thinned(image > 100))}
    free, strokes = set(line), []

    def next_to(point, among):
        y, x = point
        return sorted(
            ((y + dy, x + dx) for dy, dx in AROUND if (y + dy, x + dx) in among),
            key=lambda other: abs(other[0] - y) + abs(other[1] - x),
        )

    while free:
        ends = [point for point in free if len(next_to(point, free)) < 2]
        way = [min(ends or free)]
        free.discard(way[0])
        way = next_to(way[0], line - free - {way[0]})[:1] + way  # from where another stroke passes
        while ahead := next_to(way[-1], free):
            way.append(ahead[0])
            free.discard(ahead[0])
        way += next_to(way[-1], line - set(way[-3:]))[:1]  # to where another passes, or a loop begins
        strokes.append([(float(x), float(y)) for y, x in way])
    return strokes


def thinned(mask: np.ndarray) -> np.ndarray:
    """Lines one pixel wide (T. Y. Zhang and C. Y. Suen 1984, "A fast parallel algorithm for thinning
    digital patterns")."""
    mask = np.pad(mask, 1).astype(int)
    while True:
        before = mask.copy()
        for first, second in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
            p = [np.roll(mask, (-dy, -dx), (0, 1)) for dy, dx in AROUND]
            count = sum(p)
            turns = sum((p[k] == 0) & (p[(k + 1) % 8] == 1) for k in range(8))
            gone = (mask == 1) & (count >= 2) & (count <= 6) & (turns == 1)
            for three in (first, second):
                gone &= p[three[0]] * p[three[1]] * p[three[2]] == 0
            mask = np.where(gone, 0, mask)
        if (mask == before).all():
            return mask[1:-1, 1:-1] == 1
