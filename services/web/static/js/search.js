/** One page of hits for a query: by words, like a picture of the index, or like a picture in hand. */

import { postJSON, sendForm } from "./api.js";
import { refusalOf } from "./refusal.js";

const MAX_OFFSET = 10_000;
const MAX_HITS = 200;

/**
 * @param {{text?: string, like?: string, file?: File}} query
 * @returns {Promise<{hits: object[], index: object, took: number, more: boolean}>} `more`: there may be further hits
 */
export async function searchPage(query, { k, offset, signal }) {
  return query.file ? pageByPicture(query.file, { k, offset, signal }) : pageByWords(query, { k, offset, signal });
}

async function pageByWords({ text, like }, { k, offset, signal }) {
  const reply = await postJSON("/v1/search", { ...(like ? { like } : { text }), k, offset }, signal);
  const end = offset + k;
  const more = reply.results.length === k && end < reply.index.size && end <= MAX_OFFSET;
  return page(reply, reply.results, more);
}

/** A search by picture has no offset: a further page is the tail of a longer answer. */
async function pageByPicture(file, { k, offset, signal }) {
  const refusal = refusalOf(file);
  if (refusal) throw refusal;
  const end = Math.min(offset + k, MAX_HITS);
  const form = new FormData();
  form.append("image", file, file.name || "pasted");
  form.append("k", String(end));
  const reply = await sendForm("/v1/search/image", form, { signal });
  const more = reply.results.length === end && end < Math.min(reply.index.size, MAX_HITS);
  return page(reply, reply.results.slice(offset), more);
}

const page = (reply, hits, more) => ({ hits, index: reply.index, took: reply.took_ms, more });
