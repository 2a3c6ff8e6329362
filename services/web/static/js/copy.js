/** Text to the clipboard, with a word of thanks on the button. */

import { announce } from "./dom.js";

const THANKS_MS = 1800;

export async function copyFrom(button, text) {
  const label = button.querySelector("span");
  const done = await copied(text);
  label.textContent = done ? "Copied" : "Could not copy";
  announce(label.textContent);
  setTimeout(() => (label.textContent = "Copy"), THANKS_MS);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedTheOldWay(text);
  }
}

/** Pages that come over plain HTTP from another machine have no navigator.clipboard. */
function copiedTheOldWay(text) {
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
