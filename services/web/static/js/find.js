/** The Find tab: shows the answer to what the address says; what a person wishes for goes to the address first. */

import { COUNTS } from "./address.js";
import { announce, byId, part } from "./dom.js";
import { Grid } from "./grid.js";
import { count } from "./numbers.js";
import * as outcome from "./outcome.js";
import { insist } from "./patience.js";
import { QueryForm } from "./query.js";
import { searchPage } from "./search.js";

export class FindTab {
  state = { tab: "find", k: COUNTS[0] };
  #answered = ""; // the state whose answer is on the page or on its way
  #hits = [];
  #running = new AbortController();
  #isBusy = false;
  #pictures;
  #form;
  #grid;
  #go;

  /** @param {{pictures: PictureShelf, go: (state) => void, open: (hits, index) => void}} parts */
  constructor({ pictures, go, open }) {
    this.#pictures = pictures;
    this.#go = go;
    this.#grid = new Grid((index) => open(this.#hits, index));
    this.#form = new QueryForm({
      onQuery: ({ text, picture }) => (picture ? this.takeFile(picture) : this.#wish({ text })),
      onCount: (k) => go({ ...this.state, k }),
    });
    byId("more").addEventListener("click", () => this.#loadMore());
    part(byId("find-message"), "again").addEventListener("click", () => this.#tryAgain());
  }

  takeFile(file) {
    this.#wish({ picture: this.#pictures.keep(file) });
  }

  takeLike(id) {
    this.#wish({ like: id });
  }

  focus(index) {
    this.#grid.focus(index);
  }

  /** @param state a parsed address of this tab */
  show(state) {
    this.state = state;
    this.#form.show(state, this.#pictures.get(state.picture));
    const wanted = JSON.stringify(state);
    if (wanted === this.#answered) return;
    this.#answered = wanted;
    this.#answer();
  }

  #wish(query) {
    scrollTo({ top: 0 });
    this.#go({ tab: "find", k: this.state.k, ...query });
  }

  /** From nothing to the first page of hits. The latest question wins. */
  async #answer() {
    const { text, like, picture, k } = this.state;
    const isQuestion = Boolean(text || like || picture);
    this.#running.abort();
    this.#hits = [];
    this.#grid.clear();
    this.#busy(false);
    outcome.hideHeading();
    outcome.hideMessage();
    outcome.offerMore(null);
    byId("panel-find").dataset.state = isQuestion ? "filled" : "home";
    if (picture && !this.#pictures.get(picture)) return outcome.showMessage(outcome.LOST_PICTURE);
    if (!isQuestion) return;
    this.#grid.expect(k);
    await this.#load();
  }

  #tryAgain() {
    if (this.#hits.length) this.#loadMore();
    else this.#answer();
  }

  async #loadMore() {
    if (this.#isBusy) return;
    const first = this.#hits.length;
    await this.#load();
    if (byId("more").hidden && this.#hits.length > first) this.#grid.focus(first); // the button has gone
  }

  async #load() {
    this.#running.abort();
    const running = (this.#running = new AbortController());
    const { text, like, picture, k } = this.state;
    const query = { text, like, file: this.#pictures.get(picture) };
    const request = { k, offset: this.#hits.length, signal: running.signal };
    this.#busy(true);
    try {
      const page = await insist(() => searchPage(query, request), { signal: running.signal, onWait: outcome.showBusy });
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
    outcome.hideMessage();
    outcome.offerMore(page.more ? this.state.k : null);
    if (isFirst) outcome.showHeading(page, this.state.text);
    else announce(`${count(page.hits.length, "more picture", "more pictures")}.`);
  }

  #fail(failure) {
    this.#answered = ""; // asking the same again is a new try
    if (!this.#hits.length) this.#grid.clear();
    outcome.showFailure(failure);
  }

  #busy(busy) {
    this.#isBusy = busy;
    byId("outcome").setAttribute("aria-busy", String(busy));
    byId("more").setAttribute("aria-disabled", String(busy)); // `disabled` would take the focus away
  }
}
