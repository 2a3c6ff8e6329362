/** The results of a search: heading, grid of thumbnails, message, and the button for more. */

import { nameOf } from "./api.js";
import { announce, byId, part, stamp } from "./dom.js";
import { count, percent, whole } from "./wording.js";

const LIKELY = 0.25; // below this relevance a picture is not a likely match: docs/decisions/queries.md
const SKELETONS = 12;
const SHAPES = ["wide", "tall", "plain", "wide", "plain", "plain", "tall", "wide"];

export const LOST_PICTURE = {
  title: "The picture is gone",
  detail: "This search used a picture of your own, which a link cannot carry. Drop it here again.",
};

/** The grid of thumbnails. */
export class Grid {
  #list = byId("grid");
  #tiles = [];

  /** @param onOpen called with the index of the picture that a person opens */
  constructor(onOpen) {
    this.#list.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) onOpen(this.#tiles.indexOf(tile));
    });
  }

  clear() {
    this.#tiles = [];
    this.#list.replaceChildren();
  }

  /** Shows grey tiles where pictures will be. */
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

/** @param text the words searched for, if the search was not by picture */
export function showHeading({ hits, index, took }, text) {
  const [title, note] = heading({ hits, index, took }, text);
  byId("results-title").textContent = title;
  byId("results-note").textContent = note;
  byId("results-head").hidden = false;
  if (document.activeElement === document.body) byId("results-title").focus({ preventScroll: true });
  announce(`${title}. ${count(hits.length, "picture", "pictures")}.`);
}

export function hideHeading() {
  byId("results-head").hidden = true;
}

/** @param {{title: string, detail: string, again?: boolean}} message */
export function showMessage({ title, detail, again = false }) {
  const element = byId("find-message");
  part(element, "title").textContent = title;
  part(element, "detail").textContent = detail;
  part(element, "again").hidden = !again;
  element.hidden = false;
}

export function hideMessage() {
  byId("find-message").hidden = true;
}

export function showFailure(failure) {
  const title = failure.status === 503 ? "Search is not available yet" : "The search failed";
  showMessage({ title, detail: failure.message, again: !failure.isLasting });
  announce(failure.message);
}

export function showBusy(wait) {
  showMessage({ title: "The service is busy", detail: `${wait}.` });
}

/** @param {number|null} k how many more there may be; null hides the button */
export function offerMore(k) {
  byId("more").hidden = k === null;
  byId("more").textContent = `Show ${k} more`;
}

function heading({ hits, index, took }, text) {
  const subject = text ? `“${text}”` : "Pictures like this one";
  if (!hits.length) return [subject, "There are no pictures in the index."];
  if (hits.some((hit) => hit.relevance >= LIKELY)) {
    return [subject, `Best of ${count(index.size, "picture", "pictures")}, in ${whole(Math.max(1, Math.round(took)))} ms`];
  }
  const size = count(index.size, "picture", "pictures");
  return ["No good match", `None of ${size} is a likely match for ${text ? subject : "this picture"}. These are the closest.`];
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
