/** The Find tab. Every search first changes the address; the tab then shows the results for the address. */

import { COUNTS } from "./address.js";
import { withRetries } from "./api.js";
import { announce, byId, part } from "./dom.js";
import { QueryForm, searchPage } from "./query.js";
import * as results from "./results.js";
import { count } from "./wording.js";

export class FindTab {
  state = { tab: "find", k: COUNTS[0] };
  #shown = ""; // the state whose results are on the page or on their way
  #hits = [];
  #running = new AbortController();
  #isBusy = false;
  #pictures;
  #form;
  #grid;
  #go;

  /** @param {{pictures: QueryPictures, go: (state) => void, open: (hits, index) => void}} parts */
  constructor({ pictures, go, open }) {
    this.#pictures = pictures;
    this.#go = go;
    this.#grid = new results.Grid((index) => open(this.#hits, index));
    this.#form = new QueryForm({
      onQuery: ({ text, picture }) => (picture ? this.searchFile(picture) : this.search({ text })),
      onCount: (k) => go({ ...this.state, k }),
    });
    byId("more").addEventListener("click", () => this.#loadMore());
    part(byId("find-message"), "again").addEventListener("click", () => this.#tryAgain());
  }

  /** @param {{text?: string, like?: string, picture?: string}} query none of them shows the empty form */
  search(query) {
    scrollTo({ top: 0 });
    this.#go({ tab: "find", k: this.state.k, ...query });
  }

  searchFile(file) {
    this.search({ picture: this.#pictures.keep(file) });
  }

  focus(index) {
    this.#grid.focus(index);
  }

  /** @param state as parsed from an address of this tab */
  show(state) {
    this.state = state;
    this.#form.show(state, this.#pictures.get(state.picture));
    const wanted = JSON.stringify(state);
    if (wanted === this.#shown) return;
    this.#shown = wanted;
    this.#start();
  }

  /** Loads the first page of hits, in place of whatever was there or on its way. */
  async #start() {
    const { text, like, picture, k } = this.state;
    const isQuery = Boolean(text || like || picture);
    this.#running.abort();
    this.#hits = [];
    this.#grid.clear();
    this.#busy(false);
    results.hideHeading();
    results.hideMessage();
    results.offerMore(null);
    byId("panel-find").dataset.state = isQuery ? "filled" : "home";
    if (picture && !this.#pictures.get(picture)) return results.showMessage(results.LOST_PICTURE);
    if (!isQuery) return;
    this.#grid.expect(k);
    await this.#load();
  }

  #tryAgain() {
    if (this.#hits.length) this.#loadMore();
    else this.#start();
  }

  async #loadMore() {
    if (this.#isBusy) return;
    const first = this.#hits.length;
    await this.#load();
    if (byId("more").hidden && this.#hits.length > first) this.#grid.focus(first); // the button is gone
  }

  async #load() {
    this.#running.abort();
    const running = (this.#running = new AbortController());
    const { text, like, picture, k } = this.state;
    const query = { text, like, file: this.#pictures.get(picture) };
    const request = { k, offset: this.#hits.length, signal: running.signal };
    this.#busy(true);
    try {
      const retries = { signal: running.signal, onWait: results.showBusy };
      const page = await withRetries(() => searchPage(query, request), retries);
      if (!running.signal.aborted) this.#show(page);
    } catch (failure) {
      if (!running.signal.aborted) this.#fail(failure);
    } finally {
      if (!running.signal.aborted) this.#busy(false);
    }
  }

  #show(page) {
    const isFirst = this.#hits.length === 0;
    this.#hits = [...this.#hits, ...page.hits];
    if (isFirst) this.#grid.clear();
    this.#grid.add(page.hits);
    results.hideMessage();
    results.offerMore(page.more ? this.state.k : null);
    if (isFirst) results.showHeading(page, this.state.text);
    else announce(`${count(page.hits.length, "more picture", "more pictures")}.`);
  }

  #fail(failure) {
    this.#shown = ""; // so that the same search can be tried again
    if (!this.#hits.length) this.#grid.clear();
    results.showFailure(failure);
  }

  #busy(busy) {
    this.#isBusy = busy;
    byId("results").setAttribute("aria-busy", String(busy));
    byId("more").setAttribute("aria-disabled", String(busy)); // `disabled` would take the focus away
  }
}
