// Very many points in two dimensions: drawn pixel by pixel, and found again below the pointer or within a line.

const GRID = 256;  // a cell of a hundred thousand points holds a few

/** Points in cells, so that those near a place are found without looking at all of them. */
export class Points {
  /** places: Float32Array of x, y for each row; NaN where a row has no place. */
  constructor(places) {
    this.places = places;
    this.count = places.length / 2;
    this.low = [Infinity, Infinity];
    this.high = [-Infinity, -Infinity];
    for (let k = 0; k < places.length; k++) {
      if (Number.isNaN(places[k])) continue;
      this.low[k % 2] = Math.min(this.low[k % 2], places[k]);
      this.high[k % 2] = Math.max(this.high[k % 2], places[k]);
    }
    if (!(this.low[0] <= this.high[0])) { this.low = [0, 0]; this.high = [1, 1]; }
    this.span = [0, 1].map(k => this.high[k] - this.low[k] || 1);
    // A counting sort: where the rows of each cell begin, and the rows in the order of their cells.
    this.begins = new Int32Array(GRID * GRID + 1);
    const cells = new Int32Array(this.count).fill(-1);
    for (let row = 0; row < this.count; row++) {
      if (Number.isNaN(places[2 * row])) continue;
      cells[row] = this.cell(1, places[2 * row + 1]) * GRID + this.cell(0, places[2 * row]);
      this.begins[cells[row] + 1]++;
    }
    for (let k = 0; k < GRID * GRID; k++) this.begins[k + 1] += this.begins[k];
    this.rows = new Int32Array(this.begins[GRID * GRID]);
    const next = this.begins.slice();
    for (let row = 0; row < this.count; row++) if (cells[row] >= 0) this.rows[next[cells[row]]++] = row;
  }

  cell(axis, value) {
    return Math.min(Math.max(Math.floor((value - this.low[axis]) / this.span[axis] * GRID), 0), GRID - 1);
  }

  /** The row nearest to a place, no further than the radius; -1 where there is none. */
  nearest(x, y, radius) {
    let best = -1, least = radius * radius;
    const [left, right] = [this.cell(0, x - radius), this.cell(0, x + radius)];
    for (let line = this.cell(1, y - radius); line <= this.cell(1, y + radius); line++) {
      for (let k = this.begins[line * GRID + left]; k < this.begins[line * GRID + right + 1]; k++) {
        const row = this.rows[k], distance = (this.places[2 * row] - x) ** 2 + (this.places[2 * row + 1] - y) ** 2;
        if (distance < least) { least = distance; best = row; }
      }
    }
    return best;
  }

  /** The rows within a closed line of places, ascending. */
  within(line) {
    const xs = Float64Array.from(line, ([x]) => x), ys = Float64Array.from(line, ([, y]) => y);
    const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const found = [];
    for (let row = 0; row < this.count; row++) {
      const x = this.places[2 * row], y = this.places[2 * row + 1];
      if (x >= left && x <= right && y >= low && y <= high && isWithin(x, y, xs, ys)) found.push(row);
    }
    return found;
  }
}

/** Whether a point lies within a closed line: how often a ray to the right crosses it. */
function isWithin(x, y, xs, ys) {
  let inside = false;
  for (let k = 0, before = xs.length - 1; k < xs.length; before = k++) {
    if ((ys[k] > y) !== (ys[before] > y) && x < (xs[before] - xs[k]) * (y - ys[k]) / (ys[before] - ys[k]) + xs[k]) inside = !inside;
  }
  return inside;
}

/** How much of each pixel of a square a disc in its middle covers: (side, Float32Array). */
export function disc(radius) {
  const side = 2 * Math.ceil(radius) + 1, middle = (side - 1) / 2, cover = new Float32Array(side * side);
  for (let k = 0; k < cover.length; k++) {
    const distance = Math.hypot(k % side - middle, Math.floor(k / side) - middle);
    cover[k] = Math.min(Math.max(radius + 0.5 - distance, 0), 1);
  }
  return { side, cover };
}

/**
 * Draw the points into a picture, in front of its ground.
 *
 * Pixels are set by hand: a canvas's own arcs take a microsecond each and more, so that a hundred thousand of them do
 * not keep up with a wheel.
 *
 * picture: ImageData. ground: [red, green, blue]. scale: pixels of the picture to a unit of places. centre: the place in
 * its middle. groups: a number a row, into colours. chosen: Uint8Array with 1 for rows to show, or null for all.
 */
export function paint(picture, ground, points, { scale, centre }, colours, groups, chosen, radius) {
  const { width, height, data } = picture;
  new Uint32Array(data.buffer).fill((255 << 24 | ground[2] << 16 | ground[1] << 8 | ground[0]) >>> 0);
  const { side, cover } = disc(radius), half = (side - 1) / 2, { places, count } = points;
  // What is not chosen goes first, so that it hides nothing of what is.
  for (let pass = chosen ? 0 : 1; pass < 2; pass++) {
    const strength = chosen && pass === 0 ? 0.14 : 0.8;
    for (let row = 0; row < count; row++) {
      if (chosen && chosen[row] !== pass) continue;
      const left = Math.round(width / 2 + (places[2 * row] - centre[0]) * scale) - half;
      const top = Math.round(height / 2 - (places[2 * row + 1] - centre[1]) * scale) - half;
      if (!(left >= 0 && top >= 0 && left + side <= width && top + side <= height)) continue;  // NaN is nowhere
      const [red, green, blue] = colours[groups[row] % colours.length];
      for (let k = 0, line = (top * width + left) * 4; k < cover.length; line += 4 * width) {
        for (let across = 0, place = line; across < side; across++, k++, place += 4) {
          const part = cover[k] * strength;
          if (part === 0) continue;
          data[place] += (red - data[place]) * part;
          data[place + 1] += (green - data[place + 1]) * part;
          data[place + 2] += (blue - data[place + 2]) * part;
        }
      }
    }
  }
}

const FEW = [
  [47, 111, 173], [196, 80, 27], [63, 138, 74], [122, 90, 166], [184, 134, 11],
  [178, 60, 119], [35, 128, 138], [138, 109, 90], [111, 127, 31], [90, 95, 102],
];
const MANY = 359;  // a prime, so that neighbouring groups of any spacing get other colours

/** Colours that can be told apart, [red, green, blue]; many groups go round the wheel by the golden angle. */
export function colours(count) {
  if (count <= FEW.length) return FEW;
  return Array.from({ length: Math.min(count, MANY) }, (_, k) => ofWheel((k * 137.508) % 360, 0.55, 0.45 + 0.12 * (k % 3)));
}

/** Hue 0..360, saturation and lightness 0..1 as [red, green, blue]; CSS Color 4, section 7.1. */
function ofWheel(hue, saturation, lightness) {
  return [0, 8, 4].map(n => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (lightness - saturation * Math.min(lightness, 1 - lightness) * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  });
}
