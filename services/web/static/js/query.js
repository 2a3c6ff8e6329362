/** The search form of the Find tab, and the requests that answer it. */

import { COUNTS } from "./address.js";
import { postJSON, postPicture, refusalOf } from "./api.js";
import { byId } from "./dom.js";
import { onChoose } from "./intake.js";

const MAX_OFFSET = 10_000;
const MAX_HITS = 200;
const EXAMPLES = [
  "two dogs running through the snow",
  "a red bus on a road",
  "a sailboat at sunset",
  "people skiing",
  "a hot air balloon",
];

/** Words or a picture in the field, examples, and how many results to show. */
export class QueryForm {
  #preview = null;

  /** @param {{onQuery: (query: {text?: string, picture?: File}) => void, onCount: (k: number) => void}} callbacks */
  constructor({ onQuery, onCount }) {
    const words = byId("words");
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = words.value.trim();
      if (text) onQuery({ text });
      else words.focus();
    });
    byId("token-clear").addEventListener("click", () => {
      onQuery({});
      words.focus();
    });
    onChoose(byId("by-picture"), byId("query-file"), ([picture]) => onQuery({ picture }));
    byId("examples").append(...EXAMPLES.map((text) => exampleButton(text, onQuery)));
    byId("counts").append(...COUNTS.map((k) => countOption(k, onCount)));
  }

  /** @param file the picture of a state that has one */
  show(state, file) {
    byId("words").value = state.text ?? "";
    byId("counts").querySelector(`[value="${state.k}"]`).checked = true;
    if (this.#preview) URL.revokeObjectURL(this.#preview);
    this.#preview = file ? URL.createObjectURL(file) : null;
    byId("token").hidden = !(state.like || file);
    byId("words").placeholder = state.like || file ? "Or describe a scene" : "Describe a scene";
    if (state.like) byId("token-picture").src = `/v1/images/${encodeURIComponent(state.like)}/thumbnail`;
    if (file) byId("token-picture").src = this.#preview;
  }
}

/**
 * One page of hits: by words, like an indexed picture, or like a file.
 * @param {{text?: string, like?: string, file?: File}} query
 * @returns {Promise<{hits: object[], index: object, took: number, more: boolean}>} `more`: there may be further hits
 */
export async function searchPage({ text, like, file }, { k, offset, signal }) {
  if (file) return pageByFile(file, { k, offset, signal });
  const reply = await postJSON("/v1/search", { ...(like ? { like } : { text }), k, offset }, signal);
  const end = offset + k;
  return page(reply, reply.results, reply.results.length === k && end < reply.index.size && end <= MAX_OFFSET);
}

/** A search by file has no offset: a further page is the tail of a longer reply. */
async function pageByFile(file, { k, offset, signal }) {
  const refusal = refusalOf(file);
  if (refusal) throw refusal;
  const end = Math.min(offset + k, MAX_HITS);
  const reply = await postPicture("/v1/search/image", file, { k: end }, { signal });
  const more = reply.results.length === end && end < Math.min(reply.index.size, MAX_HITS);
  return page(reply, reply.results.slice(offset), more);
}

const page = (reply, hits, more) => ({ hits, index: reply.index, took: reply.took_ms, more });

function exampleButton(text, onQuery) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "chip";
  button.textContent = text;
  button.addEventListener("click", () => onQuery({ text }));
  return button;
}

function countOption(k, onCount) {
  const label = document.createElement("label");
  const radio = document.createElement("input");
  radio.type = "radio";
  radio.name = "count";
  radio.value = k;
  radio.addEventListener("change", () => onCount(k));
  const number = document.createElement("span");
  number.textContent = k;
  label.append(radio, number);
  return label;
}
