/** The names of what a picture shows, as the service recognises it. Each is a chip that leads to a search for the name. */

import { nameOf, postJSON, postPicture, readPicture } from "./api.js";
import { listItem } from "./dom.js";
import { percent } from "./wording.js";

const PATH = "/v1/labels";
const MOST = 5;
const LIKELY = 0.05; // the probability below which a label is not worth showing
const THUMBNAIL_PX = 512; // more than the model looks at, and much less to send than an original
const PAUSE_MS = 150; // stepping quickly through pictures asks about none of those passed

const labelsById = new Map(); // of indexed pictures

/** The likely labels of a picture, likeliest first. */
export async function labelsOf({ file, url }, signal) {
  const reply = await (file ? postPicture(PATH, file, {}, { signal }) : postJSON(PATH, { url }, signal));
  const labels = reply.results?.[0]?.labels ?? [];
  return labels.filter(({ probability }) => probability >= LIKELY).slice(0, MOST);
}

/** The likely labels of a search hit: asked for once, of its thumbnail. */
export async function labelsOfHit(hit, signal) {
  if (!labelsById.has(hit.id)) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    signal.throwIfAborted();
    const file = await readPicture(`${hit.thumbnail_url}?size=${THUMBNAIL_PX}`, nameOf(hit), signal);
    labelsById.set(hit.id, await labelsOf({ file }, signal));
  }
  return labelsById.get(hit.id);
}

/** @param {(name: string) => string} addressOf the address of a search for a name */
export function labelItems(labels, addressOf) {
  return labels.map(({ name, probability }) => {
    const link = document.createElement("a");
    link.className = "chip";
    link.href = addressOf(name);
    link.textContent = name;
    link.title = `${percent(probability)} likely. Find pictures of it`;
    return listItem(link);
  });
}
