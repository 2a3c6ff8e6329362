/** ARIA tabs: one tab stop, arrow keys, Home and End move and select. */

import { placeAfter } from "./keys.js";

export class Tabs {
  #tabs;

  /** @param onSelect called with "caption" or "find" when a person picks a tab */
  constructor(list, onSelect) {
    this.#tabs = [...list.querySelectorAll('[role="tab"]')];
    list.addEventListener("click", (event) => {
      const tab = event.target.closest('[role="tab"]');
      if (tab) onSelect(nameOf(tab));
    });
    list.addEventListener("keydown", (event) => {
      const tab = this.#target(event.key);
      if (!tab) return;
      event.preventDefault();
      tab.focus();
      onSelect(nameOf(tab));
    });
  }

  show(name) {
    for (const tab of this.#tabs) {
      const selected = nameOf(tab) === name;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !selected;
    }
  }

  #target(key) {
    const here = this.#tabs.indexOf(document.activeElement);
    const last = this.#tabs.length - 1;
    const place = placeAfter(key, here, last);
    return place === null ? null : this.#tabs.at(place > last ? 0 : place);
  }
}

const nameOf = (tab) => tab.id.replace("tab-", "");
