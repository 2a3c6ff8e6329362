/** Access to the page's own markup, shared by both pages. Text goes in as text, never as markup. */

const COPIED_MS = 1800;

export const byId = (id) => document.getElementById(id);

/** The element that the markup names with data-part. */
export const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

/** A fresh copy of a template's only element. */
export const stamp = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** Tells screen readers. */
export function announce(text) {
  byId("announcer").textContent = text;
}

export function listItem(content) {
  const item = document.createElement("li");
  item.append(content);
  return item;
}

/** The index that an arrow key, Home or End leads to from `index` in 0..`last`; it may lie one beyond the ends. Null for any other key. */
export function indexAfter(key, index, last) {
  return { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: last }[key] ?? null;
}

/** Shows the notice while the browser is offline. */
export function watchConnection() {
  const show = () => (byId("offline").hidden = navigator.onLine);
  addEventListener("online", show);
  addEventListener("offline", show);
  show();
}

/** Copies text and shows for a moment on the button how that went. */
export async function copyFrom(button, text) {
  const label = button.querySelector("span");
  label.textContent = (await copied(text)) ? "Copied" : "Could not copy";
  announce(label.textContent);
  setTimeout(() => (label.textContent = "Copy"), COPIED_MS);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text);
  }
}

/** Pages served over plain HTTP from another machine have no navigator.clipboard. */
function copiedBySelection(text) {
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  before?.focus();
  return done;
}
