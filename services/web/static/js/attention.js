/** From a grid of attention to light: values between the cells, then a veil that is thin where the model looked. */

// The veil from unseen to seen: night, ember, almost clear. Red, green, blue, opacity.
const VEIL = [
  [8, 10, 16, 0.74],
  [64, 24, 8, 0.54],
  [255, 140, 40, 0.24],
  [255, 220, 160, 0.04],
];

/**
 * The grid on width x height points, 1 where the attention is highest.
 * Cubic B-splines: smooth in both directions, and never beyond the values of the grid.
 * @param {number[][]} grid rows over the whole picture
 * @returns {Float32Array} height * width, row by row
 */
export function spread(grid, width, height) {
  const rows = grid.map((row) => stretched(row, width));
  const values = new Float32Array(width * height);
  for (let x = 0; x < width; x += 1) {
    const column = stretched(rows.map((row) => row[x]), height);
    for (let y = 0; y < height; y += 1) values[y * width + x] = column[y];
  }
  const highest = values.reduce((a, b) => Math.max(a, b), 0);
  return highest > 0 ? values.map((value) => value / highest) : values;
}

/** @returns {ImageData} the veil for values in [0, 1] */
export function veil(values, width, height) {
  const image = new ImageData(width, height);
  values.forEach((value, index) => {
    const place = value * (VEIL.length - 1);
    const low = Math.min(Math.floor(place), VEIL.length - 2);
    const share = place - low;
    for (let channel = 0; channel < 4; channel += 1) {
      const mixed = VEIL[low][channel] * (1 - share) + VEIL[low + 1][channel] * share;
      image.data[4 * index + channel] = channel === 3 ? 255 * mixed : mixed;
    }
  });
  return image;
}

function stretched(cells, length) {
  const last = cells.length - 1;
  const at = (index) => cells[Math.max(0, Math.min(last, index))];
  return Float32Array.from({ length }, (_, point) => {
    const place = ((point + 0.5) / length) * cells.length - 0.5; // a cell's value stands in its middle
    const cell = Math.floor(place);
    const t = place - cell;
    const weights = [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3];
    return weights.reduce((sum, weight, step) => sum + (weight / 6) * at(cell - 1 + step), 0);
  });
}
