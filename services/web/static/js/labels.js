/** The names of what a picture shows, as the service recognises it. Each is a chip that leads to a search for the name. */

import { postJSON, postPicture } from "./api.js";
import { listItem } from "./dom.js";
import { percent } from "./wording.js";

const PATH = "/v1/labels";
const MOST = 5;
const LIKELY = 0.05; // the probability below which a label is not worth showing

/** The likely labels of a picture, likeliest first. */
export async function labelsOf({ file, url }, signal) {
  const reply = await (file ? postPicture(PATH, file, {}, { signal }) : postJSON(PATH, { url }, signal));
  const labels = reply.results?.[0]?.labels ?? [];
  return labels.filter(({ probability }) => probability >= LIKELY).slice(0, MOST);
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
