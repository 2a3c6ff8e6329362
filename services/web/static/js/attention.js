/** A caption whose words show where the model looked: hovering over or focusing a word lights up its part of the picture. */

import { indexAfter, part, stamp } from "./dom.js";
import { capitalized, percent, sureness } from "./wording.js";

const LONG_SIDE = 160; // of the heatmap, in pixels; the browser smooths the rest
const FADE_MS = 180;

// Overlay colours from no attention to the highest: night, ember, almost clear. Red, green, blue, opacity.
const COLOURS = [
  [8, 10, 16, 0.74],
  [64, 24, 8, 0.54],
  [255, 140, 40, 0.24],
  [255, 220, 160, 0.04],
];

/** The canvas over a preview. It fades from the attention of one word to that of the next. */
export class Heatmap {
  #canvas;
  #values = null;
  #frame = 0;

  constructor(canvas) {
    this.#canvas = canvas;
  }

  /** Takes on the shape of the picture, given in any unit. */
  fit(width, height) {
    const scale = LONG_SIDE / Math.max(width, height);
    this.#canvas.width = Math.max(1, Math.round(width * scale));
    this.#canvas.height = Math.max(1, Math.round(height * scale));
    this.#values = null;
  }

  /** @param {number[][]} grid attention, in rows over the whole picture */
  show(grid) {
    const { width, height } = this.#canvas;
    const wanted = interpolated(grid, width, height);
    const from = this.#canvas.classList.contains("on") ? this.#values : null;
    this.#canvas.classList.add("on");
    cancelAnimationFrame(this.#frame);
    if (!from || matchMedia("(prefers-reduced-motion: reduce)").matches) this.#paint(wanted);
    else this.#fade(from, wanted);
  }

  hide() {
    this.#canvas.classList.remove("on");
  }

  #fade(from, wanted) {
    const start = performance.now();
    const step = (now) => {
      const share = Math.min(1, Math.max(0, (now - start) / FADE_MS));
      this.#paint(wanted.map((value, index) => from[index] + (value - from[index]) * share));
      if (share < 1) this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }

  #paint(values) {
    const { width, height } = this.#canvas;
    this.#values = values;
    this.#canvas.getContext("2d").putImageData(overlay(values, width, height), 0, 0);
  }
}

/** Keeps one word of a card lit: the one under the pointer, or else the focused one. */
export class WordLight {
  #root;
  #heatmap;
  #grids = new WeakMap();
  #hovered = null;
  #focused = null;

  constructor(root, heatmap) {
    this.#root = root;
    this.#heatmap = heatmap;
    root.addEventListener("pointerover", (event) => this.#hover(wordOf(event.target)));
    root.addEventListener("pointerleave", () => this.#hover(null));
    root.addEventListener("focusin", (event) => this.#focus(wordOf(event.target)));
    root.addEventListener("focusout", () => this.#focus(null));
    root.addEventListener("click", (event) => wordOf(event.target)?.focus()); // Safari does not focus a clicked button
    root.addEventListener("keydown", (event) => this.#press(event));
  }

  /** @param {number[][]} grid the attention of this word */
  add(word, grid) {
    this.#grids.set(word, grid);
  }

  #hover(word) {
    this.#hovered = word;
    this.#update();
  }

  #focus(word) {
    this.#focused = word;
    if (word) for (const other of wordsBeside(word)) other.tabIndex = other === word ? 0 : -1;
    this.#update();
  }

  #press(event) {
    const word = wordOf(event.target);
    if (!word) return;
    const words = wordsBeside(word);
    const index = indexAfter(event.key, words.indexOf(word), words.length - 1);
    if (event.key === "Escape") word.blur();
    if (index === null) return;
    event.preventDefault();
    words[index]?.focus();
  }

  #update() {
    const lit = this.#hovered ?? this.#focused;
    for (const word of this.#root.querySelectorAll(".word")) word.classList.toggle("lit", word === lit);
    if (lit) this.#heatmap.show(this.#grids.get(lit));
    else this.#heatmap.hide();
  }
}

/**
 * @param {WordLight} light gets the attention of every word
 * @returns {HTMLElement} the caption with its confidence
 */
export function captionElement(caption, light) {
  const element = stamp("caption-template");
  const text = capitalized(caption.text);
  const { share, words } = sureness(caption);
  part(element, "text").textContent = text;
  part(element, "share").setAttribute("width", 100 * share);
  part(element, "sureness").textContent = `${words}, ${percent(share)}`;
  const group = part(element, "words");
  group.append(...pieces(text, caption.words ?? []).map((piece) => pieceElement(piece, light)));
  const first = group.querySelector(".word");
  if (first) {
    first.tabIndex = 0;
    group.setAttribute("aria-label", "Where the model looked, word by word; use the arrow keys");
  }
  return element;
}

const wordOf = (target) => target.closest(".word");
const wordsBeside = (word) => [...word.parentElement.querySelectorAll(".word")];

/** The text, cut so that each word is a piece of its own. A word that the text does not contain is left out. */
function pieces(text, words) {
  const found = [];
  let end = 0;
  for (const { text: word, attention } of words) {
    const start = text.toLowerCase().indexOf(word.toLowerCase(), end);
    if (start < 0 || !word) continue;
    if (start > end) found.push({ text: text.slice(end, start) });
    end = start + word.length;
    found.push({ text: text.slice(start, end), attention });
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}

function pieceElement({ text, attention }, light) {
  const piece = document.createElement(attention ? "button" : "span");
  piece.textContent = text;
  if (attention) {
    piece.type = "button";
    piece.className = "word";
    piece.tabIndex = -1;
    light.add(piece, attention);
  } else {
    piece.setAttribute("aria-hidden", "true"); // the whole sentence is read out before it
  }
  return piece;
}

/**
 * The grid at width x height points, scaled so that the highest is 1.
 * Cubic B-splines are smooth in both directions and never exceed the values of the grid.
 * @returns {Float32Array} height * width, row by row
 */
function interpolated(grid, width, height) {
  const rows = grid.map((row) => stretched(row, width));
  const values = new Float32Array(width * height);
  for (let x = 0; x < width; x += 1) {
    const column = stretched(rows.map((row) => row[x]), height);
    for (let y = 0; y < height; y += 1) values[y * width + x] = column[y];
  }
  const highest = values.reduce((a, b) => Math.max(a, b), 0);
  return highest > 0 ? values.map((value) => value / highest) : values;
}

function stretched(cells, length) {
  const last = cells.length - 1;
  const at = (index) => cells[Math.max(0, Math.min(last, index))];
  return Float32Array.from({ length }, (_, point) => {
    const place = ((point + 0.5) / length) * cells.length - 0.5; // a cell's value belongs to its middle
    const cell = Math.floor(place);
    const t = place - cell;
    const weights = [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3];
    return weights.reduce((sum, weight, step) => sum + (weight / 6) * at(cell - 1 + step), 0);
  });
}

/** @returns {ImageData} the colours of values in [0, 1] */
function overlay(values, width, height) {
  const image = new ImageData(width, height);
  values.forEach((value, index) => {
    const place = value * (COLOURS.length - 1);
    const low = Math.min(Math.floor(place), COLOURS.length - 2);
    const share = place - low;
    for (let channel = 0; channel < 4; channel += 1) {
      const mixed = COLOURS[low][channel] * (1 - share) + COLOURS[low + 1][channel] * share;
      image.data[4 * index + channel] = channel === 3 ? 255 * mixed : mixed;
    }
  });
  return image;
}
