/** The few ways in which this page reaches into its own markup. Text goes in as text, never as markup. */

export const byId = (id) => document.getElementById(id);

/** The element that a template names with data-part. */
export const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

/** A fresh copy of a template's only element. */
export const stamp = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** Say something to people who use a screen reader. */
export function announce(text) {
  byId("announcer").textContent = text;
}
