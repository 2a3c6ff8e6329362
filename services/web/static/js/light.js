/** Which word of a card is lit: the one under the pointer, else the one with the focus. */

import { placeAfter } from "./keys.js";

export class Light {
  #root;
  #heat;
  #grids = new WeakMap();
  #hovered = null;
  #focused = null;

  constructor(root, heat) {
    this.#root = root;
    this.#heat = heat;
    root.addEventListener("pointerover", (event) => this.#hover(wordOf(event.target)));
    root.addEventListener("pointerleave", () => this.#hover(null));
    root.addEventListener("focusin", (event) => this.#focus(wordOf(event.target)));
    root.addEventListener("focusout", () => this.#focus(null));
    root.addEventListener("click", (event) => wordOf(event.target)?.focus()); // Safari does not focus a clicked button
    root.addEventListener("keydown", (event) => this.#step(event));
  }

  /** @param {number[][]} grid what this word looked at */
  know(word, grid) {
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

  #step(event) {
    const word = wordOf(event.target);
    if (!word) return;
    const words = wordsBeside(word);
    const place = placeAfter(event.key, words.indexOf(word), words.length - 1);
    if (event.key === "Escape") word.blur();
    if (place === null) return;
    event.preventDefault();
    words[place]?.focus();
  }

  #update() {
    const lit = this.#hovered ?? this.#focused;
    for (const word of this.#root.querySelectorAll(".word")) word.classList.toggle("lit", word === lit);
    if (lit) this.#heat.show(this.#grids.get(lit));
    else this.#heat.hide();
  }
}

const wordOf = (target) => target.closest(".word");
const wordsBeside = (word) => [...word.parentElement.querySelectorAll(".word")];
