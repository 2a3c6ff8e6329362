/** The dialog in which an operator confirms a switch, with the key that it needs. */

import { byId, part } from "./dom.js";

const KEPT = "operator-key"; // in this tab, until it is closed
const WRONG_KEY = 401;

export class SwitchDialog {
  #dialog = byId("switch");
  #field = byId("operator-key");
  #problem = byId("switch-problem");
  #act = null;
  #verb = "";
  #isBusy = false;

  constructor() {
    byId("switch-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    part(this.#dialog, "cancel").addEventListener("click", () => this.#dialog.close());
    part(this.#dialog, "forget").addEventListener("click", () => {
      sessionStorage.removeItem(KEPT);
      this.#showKey();
    });
  }

  /**
   * @param {{title: string, words: string, verb: string}} question
   * @param {(key: string) => Promise<void>} act does it; the dialog stays, with the reason, when it fails
   */
  ask({ title, words, verb }, act) {
    this.#act = act;
    this.#verb = verb;
    byId("switch-title").textContent = title;
    part(this.#dialog, "words").textContent = words;
    this.#problem.textContent = "";
    this.#field.value = "";
    this.#busy(false);
    this.#dialog.showModal();
    this.#showKey();
  }

  async #submit() {
    if (this.#isBusy) return;
    const key = sessionStorage.getItem(KEPT) ?? this.#field.value.trim();
    if (!key) {
      this.#problem.textContent = "Type the key first.";
      this.#field.focus();
      return;
    }
    this.#problem.textContent = "";
    this.#busy(true);
    try {
      await this.#act(key);
      sessionStorage.setItem(KEPT, key);
      this.#dialog.close();
    } catch (failure) {
      this.#fail(failure, key);
    } finally {
      this.#busy(false);
    }
  }

  /** The key is kept unless it was the key that was wrong. */
  #fail(failure, key) {
    if (failure.status === WRONG_KEY) sessionStorage.removeItem(KEPT);
    else if (failure.status >= 404) sessionStorage.setItem(KEPT, key);
    this.#problem.textContent = failure.status === WRONG_KEY ? "This is not the key." : failure.message;
    this.#showKey();
  }

  #showKey() {
    const known = sessionStorage.getItem(KEPT) !== null;
    part(this.#dialog, "key").hidden = known;
    part(this.#dialog, "known").hidden = !known;
    if (known) part(this.#dialog, "go").focus();
    else this.#field.select();
  }

  #busy(busy) {
    this.#isBusy = busy;
    part(this.#dialog, "go").setAttribute("aria-disabled", String(busy)); // `disabled` would take the focus away
    part(this.#dialog, "go").textContent = busy ? "Checking every byte…" : this.#verb;
  }
}
