/** The files that a version left out, under its row: asked for when somebody looks, page by page. */

import { readJSON } from "./api.js";
import { announce, part, stamp } from "./dom.js";
import { count } from "./numbers.js";

const PAGE = 100;

export class SkippedFiles {
  #row;
  #version;
  #isAsked = false;

  /** @param row the version's element, with the button that shows and hides the files */
  constructor(row, version) {
    this.#row = row;
    this.#version = version;
    const button = part(row, "skipped");
    part(row, "skipped-row").id = `skipped-${version}`;
    button.setAttribute("aria-controls", `skipped-${version}`);
    button.addEventListener("click", () => this.#toggle(button));
    part(row, "more").addEventListener("click", () => this.#load());
  }

  #toggle(button) {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    part(this.#row, "skipped-row").hidden = !open;
    if (open && !this.#isAsked) this.#load();
  }

  async #load() {
    const list = part(this.#row, "files");
    this.#isAsked = true;
    this.#problem("");
    try {
      const offset = list.childElementCount;
      const page = await readJSON(`/v1/index/versions/${this.#version}/skipped?offset=${offset}&limit=${PAGE}`);
      list.append(...page.skipped.map(fileElement));
      list.tabIndex = list.scrollHeight > list.clientHeight ? 0 : -1; // the keyboard scrolls it, if there is something to
      part(this.#row, "more").hidden = list.childElementCount >= page.total;
      announce(`${count(page.skipped.length, "skipped file", "skipped files")}.`);
    } catch (failure) {
      this.#isAsked = list.childElementCount > 0;
      this.#problem(failure.message);
    }
  }

  #problem(text) {
    part(this.#row, "skipped-problem").textContent = text;
  }
}

function fileElement({ path, reason }) {
  const element = stamp("skipped-template");
  part(element, "path").textContent = path;
  part(element, "reason").textContent = reason;
  return element;
}
