/** One picture on its way to a caption: what its card shows at each step. */

import { part, stamp } from "./dom.js";
import { Heat } from "./heat.js";
import { Light } from "./light.js";
import { UNSURE, count, bytesInWords, percent, whole } from "./numbers.js";
import { captionElement, sentence } from "./words.js";

const LIKELY = 0.05; // labels below it are not worth a look

export class Card {
  element = stamp("card-template");
  #heat = new Heat(this.#part("heat"));
  #light = new Light(this.#part("answer"), this.#heat);
  #preview = null;
  sentence = ""; // the best caption, once there is one
  #unsure = false; // whether that caption is likely wrong

  /** @param {{name: string, file?: File, url?: string}} picture */
  constructor({ name, file, url }) {
    this.#part("name").textContent = name;
    this.#part("name").title = name;
    this.#part("remove").setAttribute("aria-label", `Remove ${name}`);
    this.element.setAttribute("aria-label", name);
    this.#showFacts(file ? [bytesInWords(file.size)] : []);
    if (file) this.#showPreview(file, name);
    else this.#withoutPreview(url ? "The picture stays at its address; only the service looks at it." : "No preview");
  }

  on(name, act) {
    this.#part(name).addEventListener("click", act);
  }

  showQueued() {
    this.#progress("queued", "Waiting its turn", null);
  }

  showUpload(share) {
    if (share < 1) this.#progress("uploading", `Uploading, ${percent(share)}`, share);
    else this.showThinking();
  }

  showThinking() {
    this.#progress("thinking", "Looking at the picture", null);
  }

  showBusy(seconds, tryNow) {
    this.#progress("busy", `The service is busy. Trying again in ${count(seconds, "second", "seconds")}`, null);
    const now = this.#part("now");
    now.hidden = false;
    now.onclick = tryNow;
  }

  /** @param result a CaptionResult with captions, best first */
  showCaptions({ captions, width, height }, bytes) {
    this.#state("done", "answer");
    this.sentence = sentence(captions[0].text);
    this.#unsure = (captions[0].confidence ?? 1) < UNSURE;
    this.#shape(width, height);
    this.#showFacts([`${whole(width)} × ${whole(height)}`, ...(bytes ? [bytesInWords(bytes)] : [])]);
    const [best, ...others] = captions.map((caption) => captionElement(caption, this.#light));
    this.#part("best").replaceChildren(best);
    this.#part("hint").hidden = !best.querySelector(".word");
    this.#part("alternatives").hidden = others.length === 0;
    this.#part("others").replaceChildren(...others.map(listed));
  }

  /**
   * @param labels those of /v1/labels, likeliest first
   * @param {(name: string) => string} addressOf where a label leads
   */
  showLabels(labels, addressOf) {
    const likely = labels.filter(({ probability }) => probability >= LIKELY);
    this.#part("labels").hidden = likely.length === 0;
    this.#part("labels").replaceChildren(...likely.map((label) => listed(chip(label, addressOf))));
    this.#part("instead").hidden = !this.#unsure || likely.length === 0;
    if (this.#unsure) this.#part("best").before(this.#part("instead"), this.#part("labels"));
  }

  showFailure(failure) {
    this.#state("failed", "failure");
    this.#part("failure-words").textContent = failure.message;
    this.#part("retry").hidden = failure.isLasting;
  }

  /** Where "find pictures like this" leads. */
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
    picture.addEventListener("error", () => this.#withoutPreview("This browser cannot show this kind of file."));
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
    this.#heat.fit(width, height);
  }
}

function chip({ name, probability }, addressOf) {
  const link = document.createElement("a");
  link.className = "chip";
  link.href = addressOf(name);
  link.textContent = name;
  link.title = `${percent(probability)}; find pictures of it`;
  return link;
}

function listed(element) {
  const item = document.createElement("li");
  item.append(element);
  return item;
}
