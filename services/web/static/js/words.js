/** A caption as a sentence whose words can be pointed at. */

import { part, stamp } from "./dom.js";
import { percent, sureness } from "./numbers.js";

/** As a sentence begins. */
export const sentence = (text) => text.charAt(0).toLocaleUpperCase("en") + text.slice(1);

/**
 * @param {Light} light gets the attention of every word
 * @returns {HTMLElement} the caption with its confidence
 */
export function captionElement(caption, light) {
  const element = stamp("caption-template");
  const text = sentence(caption.text);
  const { share, words } = sureness(caption);
  part(element, "text").textContent = text;
  part(element, "share").setAttribute("width", 100 * share);
  part(element, "sureness").textContent = `${words}, ${percent(share)}`;
  const group = part(element, "words");
  group.append(...pieces(text, caption.words ?? []).map((piece) => pieceElement(piece, light)));
  const first = group.querySelector(".word");
  if (first) {
    first.tabIndex = 0;
    group.setAttribute("aria-label", "Where the model looked, word by word; the arrow keys move");
  }
  return element;
}

/** The text cut so that each word is a piece of its own; a word that the text does not hold is left out. */
function pieces(text, words) {
  const found = [];
  let end = 0;
  for (const { text: word, attention } of words) {
    const start = text.toLowerCase().indexOf(word.toLowerCase(), end);
    if (start < 0 || !word) continue;
    if (start > end) found.push({ text: text.slice(end, start) });
    end = start + word.length;
    found.push({ text: text.slice(start, end), attention });
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}

function pieceElement({ text, attention }, light) {
  const piece = document.createElement(attention ? "button" : "span");
  piece.textContent = text;
  if (attention) {
    piece.type = "button";
    piece.className = "word";
    piece.tabIndex = -1;
    light.know(piece, attention);
  } else {
    piece.setAttribute("aria-hidden", "true"); // the whole sentence stands before it
  }
  return piece;
}
