/** The form of the Find tab: words or a picture in the field, examples, and how many. */

import { COUNTS } from "./address.js";
import { byId } from "./dom.js";
import { choose } from "./intake.js";

const EXAMPLES = [
  "two dogs playing in the snow",
  "a red bus on a road",
  "a sailboat on a lake",
  "children on a beach",
  "a hot air balloon",
];

export class QueryForm {
  #preview = null;

  /**
   * @param {{onQuery: (query: {text?: string, picture?: File}) => void, onCount: (k: number) => void}} wishes
   */
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
    choose(byId("by-picture"), byId("query-file"), ([picture]) => onQuery({ picture }));
    byId("examples").append(...EXAMPLES.map((text) => exampleButton(text, onQuery)));
    byId("counts").append(...COUNTS.map((k) => countOption(k, onCount)));
  }

  /** @param file the picture of a state that names one */
  show(state, file) {
    byId("words").value = state.text ?? "";
    byId("counts").querySelector(`[value="${state.k}"]`).checked = true;
    if (this.#preview) URL.revokeObjectURL(this.#preview);
    this.#preview = file ? URL.createObjectURL(file) : null;
    byId("token").hidden = !(state.like || file);
    byId("words").placeholder = state.like || file ? "Or describe a scene" : "Describe a scene";
    if (state.like) this.#showToken(`/v1/images/${encodeURIComponent(state.like)}/thumbnail`);
    if (file) this.#showToken(this.#preview);
  }

  #showToken(picture) {
    byId("token-picture").src = picture;
  }
}

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
