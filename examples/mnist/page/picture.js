// From strokes to the 28 × 28 picture that MNIST would have made of them.
"use strict";

const SIDE = 28; // pixels
const BOX = 20; // the drawing, with its ink, is scaled to fit a square of so many
const PEN = 1.3; // the pen's radius in pixels: as much ink as in MNIST, on average
const LARGEST = 250; // pixels for the pad's side: a dot does not become a disc

// Strokes are lists of points [x, y], in any unit that makes the pad 1 × 1. The picture is 784 bytes,
// 0 for paper and 255 for ink. As in MNIST its centre of mass is in the middle; the pen has one width
// however large the drawing is.
function picture(strokes) {
  const points = strokes.flat();
  if (!points.length) return new Uint8Array(SIDE * SIDE);
  const [left, right] = extent(points.map((point) => point[0]));
  const [top, bottom] = extent(points.map((point) => point[1]));
  const scale = Math.min((BOX - 2 * PEN) / Math.max(right - left, bottom - top), LARGEST);
  const x0 = (left + right) / 2, y0 = (top + bottom) / 2, middle = (SIDE - 1) / 2;
  const placed = (dx, dy) =>
    strokes.map((stroke) => stroke.map(([x, y]) => [(x - x0) * scale + dx, (y - y0) * scale + dy]));
  const [x, y] = centre(inked(placed(middle, middle)));
  const half = SIDE / 2; // MNIST's pixel (14, 14)
  return inked(placed(middle + half - x, middle + half - y)).map((ink) => Math.round(255 * ink));
}

function extent(numbers) {
  return numbers.reduce(([low, high], n) => [Math.min(low, n), Math.max(high, n)], [Infinity, -Infinity]);
}

// How much of each pixel is ink, 0…1, near enough: by its middle's distance from the pen's way.
function inked(strokes) {
  const ink = new Float64Array(SIDE * SIDE);
  for (const stroke of strokes) {
    stroke.forEach((b, k) => {
      const a = stroke[Math.max(k - 1, 0)];
      const [x0, x1] = extent([a[0], b[0]]), [y0, y1] = extent([a[1], b[1]]);
      for (let y = Math.max(0, Math.ceil(y0 - PEN - 1)); y <= Math.min(SIDE - 1, y1 + PEN + 1); y++) {
        for (let x = Math.max(0, Math.ceil(x0 - PEN - 1)); x <= Math.min(SIDE - 1, x1 + PEN + 1); x++) {
          const covered = Math.min(1, PEN + 0.5 - distance(x, y, a, b));
          ink[SIDE * y + x] = Math.max(ink[SIDE * y + x], covered);
        }
      }
    });
  }
  return ink;
}

// From the point (x, y) to the line from a to b.
function distance(x, y, a, b) {
  const dx = b[0] - a[0], dy = b[1] - a[1], length = dx * dx + dy * dy;
  const along = length ? Math.max(0, Math.min(1, ((x - a[0]) * dx + (y - a[1]) * dy) / length)) : 0;
  return Math.hypot(x - a[0] - along * dx, y - a[1] - along * dy);
}

// The centre of mass, in pixels.
function centre(ink) {
  let mass = 0, x = 0, y = 0;
  ink.forEach((m, k) => {
    mass += m;
    x += m * (k % SIDE);
    y += m * Math.floor(k / SIDE);
  });
  return [x / mass, y / mass];
}
