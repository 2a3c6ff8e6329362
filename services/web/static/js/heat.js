/** The canvas over a preview: fades from what one word looked at to what the next one did. */

import { spread, veil } from "./attention.js";

const LONG_SIDE = 160; // points; the browser smooths the rest
const FADE_MS = 180;

export class Heat {
  #canvas;
  #values = null;
  #frame = 0;

  constructor(canvas) {
    this.#canvas = canvas;
  }

  /** The shape of the picture, in whatever unit. */
  fit(width, height) {
    const scale = LONG_SIDE / Math.max(width, height);
    this.#canvas.width = Math.max(1, Math.round(width * scale));
    this.#canvas.height = Math.max(1, Math.round(height * scale));
    this.#values = null;
  }

  show(grid) {
    const { width, height } = this.#canvas;
    const wanted = spread(grid, width, height);
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
    this.#canvas.getContext("2d").putImageData(veil(values, width, height), 0, 0);
  }
}
