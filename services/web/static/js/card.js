/** The card of a picture on the Caption tab, from the upload to the caption. */

import { captionElement, Heatmap, WordLight } from "./attention.js";
import { listItem, part, stamp } from "./dom.js";
import { labelItems } from "./labels.js";
import { UNSURE, bytesInWords, capitalized, percent, whole } from "./wording.js";

export class Card {
  element = stamp("card-template");
  sentence = ""; // the best caption, once there is one
  #heatmap = new Heatmap(this.#part("heatmap"));
  #light = new WordLight(this.#part("answer"), this.#heatmap);
  #preview = null;
  #isUnsure = false; // whether the best caption is likely wrong

  /** @param {{name: string, file?: File, url?: string}} picture */
  constructor({ name, file, url }) {
    this.#part("name").textContent = name;
    this.#part("name").title = name;
    this.#part("remove").setAttribute("aria-label", `Remove ${name}`);
    this.element.setAttribute("aria-label", name);
    this.#showFacts(file ? [bytesInWords(file.size)] : []);
    if (file) this.#showPreview(file, name);
    else this.#withoutPreview(url ? "No preview: the service downloads this picture itself." : "No preview");
  }

  onClick(name, act) {
    this.#part(name).addEventListener("click", act);
  }

  showQueued() {
    this.#progress("queued", "Queued", null);
  }

  showUpload(share) {
    if (share < 1) this.#progress("uploading", `Uploading, ${percent(share)}`, share);
    else this.showThinking();
  }

  showThinking() {
    this.#progress("thinking", "Looking at the picture", null);
  }

  showBusy(wait, tryNow) {
    this.#progress("busy", `The service is busy. ${wait}`, null);
    const now = this.#part("now");
    now.hidden = false;
    now.onclick = tryNow;
  }

  /** @param result a CaptionResult with captions, best first */
  showCaptions({ captions, width, height }, bytes) {
    this.#state("done", "answer");
    this.sentence = capitalized(captions[0].text);
    this.#isUnsure = (captions[0].confidence ?? 1) < UNSURE;
    this.#shape(width, height);
    this.#showFacts([`${whole(width)} × ${whole(height)}`, ...(bytes ? [bytesInWords(bytes)] : [])]);
    const [best, ...others] = captions.map((caption) => captionElement(caption, this.#light));
    this.#part("best").replaceChildren(best);
    this.#part("hint").hidden = !best.querySelector(".word");
    this.#part("alternatives").hidden = others.length === 0;
    this.#part("others").replaceChildren(...others.map(listItem));
  }

  /**
   * Labels come before an unsure caption and after any other.
   * @param labels likeliest first
   * @param {(name: string) => string} addressOf the address of a search for a name
   */
  showLabels(labels, addressOf) {
    this.#part("labels").hidden = labels.length === 0;
    this.#part("labels").replaceChildren(...labelItems(labels, addressOf));
    this.#part("instead").hidden = !this.#isUnsure || labels.length === 0;
    if (this.#isUnsure) this.#part("best").before(this.#part("instead"), this.#part("labels"));
  }

  showFailure(failure) {
    this.#state("failed", "failure");
    this.#part("failure-words").textContent = failure.message;
    this.#part("retry").hidden = failure.isLasting;
  }

  /** Sets where the link to the Find tab leads. */
  linkTo(address, words) {
    const link = this.#part("find-like");
    link.href = address;
    link.querySelector("span").textContent = words;
  }

  remove() {
    this.element.remove();
    if (this.#preview) URL.revokeObjectURL(this.#preview);
  }

  #part(name) {
    return part(this.element, name);
  }

  #state(state, visible) {
    this.element.dataset.state = state;
    this.element.setAttribute("aria-busy", String(visible === "progress"));
    for (const name of ["progress", "answer", "failure"]) this.#part(name).hidden = name !== visible;
  }

  #progress(state, words, share) {
    this.#state(state, "progress");
    this.#part("stage-words").textContent = words;
    this.#part("now").hidden = true;
    const bar = this.#part("bar");
    bar.setAttribute("aria-label", words);
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
  }

  #showFacts(facts) {
    this.#part("facts").textContent = facts.join(", ");
  }

  #showPreview(file, name) {
    const picture = this.#part("preview");
    this.#preview = URL.createObjectURL(file);
    picture.addEventListener("load", () => this.#shape(picture.naturalWidth, picture.naturalHeight));
    picture.addEventListener("error", () => this.#withoutPreview("This browser cannot display this kind of file."));
    picture.alt = `Preview of ${name}`;
    picture.src = this.#preview;
  }

  #withoutPreview(reason) {
    this.#part("preview").hidden = true;
    this.#part("no-preview-words").textContent = reason;
    this.#part("no-preview").hidden = false;
  }

  #shape(width, height) {
    this.element.style.setProperty("--ratio", width / height);
    this.#heatmap.fit(width, height);
  }
}
