/**
 * The page's address holds its state:
 * `#caption`, `#find?q=two+dogs&k=24`, `#find?like=<id>`, `#find?picture=<number>`.
 */

export const COUNTS = [12, 24, 48];

/** @returns {{tab: "caption"} | {tab: "find", k: number, text?: string, like?: string, picture?: string}} */
export function parse(hash) {
  const cut = hash.indexOf("?");
  const tab = hash.slice(1, cut < 0 ? undefined : cut);
  if (tab !== "find") return { tab: "caption" };
  const given = new URLSearchParams(cut < 0 ? "" : hash.slice(cut + 1));
  const k = COUNTS.find((count) => count === Number(given.get("k"))) ?? COUNTS[0];
  const [text, like, picture] = ["q", "like", "picture"].map((name) => given.get(name)?.trim());
  if (text) return { tab, k, text };
  if (like) return { tab, k, like };
  if (picture) return { tab, k, picture };
  return { tab, k };
}

export function format(state) {
  if (state.tab !== "find") return "#caption";
  const query = new URLSearchParams();
  if (state.text) query.set("q", state.text);
  if (state.like) query.set("like", state.like);
  if (state.picture) query.set("picture", state.picture);
  if (state.k !== COUNTS[0]) query.set("k", state.k);
  return query.size ? `#find?${query}` : "#find";
}

/** The address of a new search, with the default number of results. */
export const searchAddress = (query) => format({ tab: "find", k: COUNTS[0], ...query });

/** Calls `show(state)` whenever the address changes, be it by the page, the back button or the address bar. */
export class Address {
  #show;

  constructor(show) {
    this.#show = show;
    addEventListener("hashchange", () => this.start());
  }

  start() {
    this.#show(parse(location.hash));
  }

  go(state) {
    const next = format(state);
    if (next !== location.hash) history.pushState(null, "", next);
    this.#show(state);
  }
}

/** The files that searches were made with. An address can only give their number, which is valid until the page is left. */
export class QueryPictures {
  #files = [];

  /** @returns {string} the file's number */
  keep(file) {
    const known = this.#files.indexOf(file);
    return String(known < 0 ? this.#files.push(file) - 1 : known);
  }

  /** @returns {File|undefined} */
  get(number) {
    return this.#files[number];
  }
}
