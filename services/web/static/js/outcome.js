/** What stands around the grid: the heading above it, a message below it, and the button for more. */

import { announce, byId, part } from "./dom.js";
import { count, whole } from "./numbers.js";

const FITS = 0.25; // below this relevance a picture is no likely match: docs/decisions/queries.md

export const LOST_PICTURE = {
  title: "The picture is gone",
  detail: "This search was made with a picture of your own, which no address can carry. Drop it here again.",
};

/** @param text the question's words; none when it was a picture */
export function showHeading({ hits, index, took }, text) {
  const [title, note] = heading({ hits, index, took }, text);
  byId("outcome-title").textContent = title;
  byId("outcome-note").textContent = note;
  byId("outcome-head").hidden = false;
  if (document.activeElement === document.body) byId("outcome-title").focus({ preventScroll: true });
  announce(`${title}. ${count(hits.length, "picture", "pictures")}.`);
}

export function hideHeading() {
  byId("outcome-head").hidden = true;
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
  const title = failure.status === 503 ? "Not ready for searching" : "That did not work";
  showMessage({ title, detail: failure.message, again: !failure.isLasting });
  announce(failure.message);
}

export function showBusy(seconds) {
  showMessage({ title: "The service is busy", detail: `Trying again in ${count(seconds, "second", "seconds")}.` });
}

/** @param {number|null} k how many more can be asked for */
export function offerMore(k) {
  byId("more").hidden = k === null;
  byId("more").textContent = `Show ${k} more`;
}

function heading({ hits, index, took }, text) {
  const subject = text ? `“${text}”` : "Pictures like this one";
  if (!hits.length) return [subject, "There are no pictures to choose from."];
  if (hits.some((hit) => hit.relevance >= FITS)) {
    return [subject, `Best of ${count(index.size, "picture", "pictures")}, in ${whole(Math.max(1, took))} ms`];
  }
  const match = text ? subject : "this picture";
  return ["Nothing fits well", `None of ${whole(index.size)} is a likely match for ${match}. These come nearest.`];
}
