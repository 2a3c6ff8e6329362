/** The grid of thumbnails. */

import { byId, part, stamp } from "./dom.js";
import { nameOf } from "./hit.js";
import { percent } from "./numbers.js";

const SKELETONS = 12;
const SHAPES = ["wide", "tall", "plain", "wide", "plain", "plain", "tall", "wide"];

export class Grid {
  #list = byId("grid");
  #tiles = [];

  /** @param open called with the index of the picture that a person opens */
  constructor(open) {
    this.#list.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) open(this.#tiles.indexOf(tile));
    });
  }

  clear() {
    this.#tiles = [];
    this.#list.replaceChildren();
  }

  /** Grey tiles where pictures will be. */
  expect(number) {
    this.#tiles = [];
    this.#list.replaceChildren(...Array.from({ length: Math.min(number, SKELETONS) }, (_, index) => skeleton(index)));
  }

  add(hits) {
    if (!this.#tiles.length) this.#list.replaceChildren();
    const tiles = hits.map(tileFor);
    this.#tiles.push(...tiles);
    this.#list.append(...tiles);
  }

  focus(index) {
    part(this.#tiles[index], "open").focus();
  }
}

function tileFor(hit) {
  const tile = stamp("tile-template");
  const picture = part(tile, "thumbnail");
  const name = nameOf(hit);
  picture.width = hit.width;
  picture.height = hit.height;
  picture.src = hit.thumbnail_url;
  part(tile, "share").setAttribute("width", 100 * hit.relevance);
  part(tile, "percent").textContent = percent(hit.relevance);
  part(tile, "name").textContent = name;
  part(tile, "open").setAttribute("aria-label", `${name}, relevance ${percent(hit.relevance)}`);
  return tile;
}

function skeleton(index) {
  const tile = document.createElement("li");
  tile.className = `tile skeleton ${SHAPES[index % SHAPES.length]}`;
  tile.setAttribute("aria-hidden", "true");
  return tile;
}
