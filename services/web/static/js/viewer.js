/** The large view of a search hit: a dialog over the grid. Arrow keys or a swipe lead to the next hit. */

import { nameOf } from "./api.js";
import { byId, indexAfter, part } from "./dom.js";
import { labelItems, labelsOfHit } from "./labels.js";
import { percent, whole } from "./wording.js";

const SWIPE_PX = 48;
const ENLARGE = 1.6; // how far a small picture may grow before it looks blurred
const ELSEWHERE = "elsewhere"; // the dialog's return value when the person goes on to something else

export class Viewer {
  #dialog = byId("viewer");
  #hits = [];
  #index = 0;
  #swipeStart = null;
  #addressOf;
  #labelling = new AbortController();

  /**
   * @param {{onLike: (hit) => void, onCaption: (hit) => void, onLabel: (name: string) => void, onClose: (index) => void,
   *   addressOf: (name: string) => string}} options addressOf: the address of a search for a label
   */
  constructor({ onLike, onCaption, onLabel, onClose, addressOf }) {
    this.#addressOf = addressOf;
    this.#on("close", "click", () => this.#dialog.close());
    this.#on("previous", "click", () => this.#step(-1));
    this.#on("next", "click", () => this.#step(1));
    this.#on("like", "click", () => this.#leave(onLike, this.#hits[this.#index]));
    this.#on("caption", "click", () => this.#leave(onCaption, this.#hits[this.#index]));
    this.#on("labels", "click", (event) => this.#pickLabel(event, onLabel));
    this.#on("picture", "error", () => this.#showThumbnail());
    this.#dialog.addEventListener("close", () => {
      this.#labelling.abort();
      if (this.#dialog.returnValue !== ELSEWHERE) onClose(this.#index);
    });
    this.#dialog.addEventListener("keydown", (event) => this.#press(event));
    this.#dialog.addEventListener("touchstart", (event) => this.#touch(event), { passive: true });
    this.#dialog.addEventListener("touchend", (event) => this.#swipe(event));
  }

  open(hits, index) {
    this.#hits = hits;
    this.#show(index);
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
  }

  /** For when the address changes. */
  close() {
    if (this.#dialog.open) this.#dialog.close(ELSEWHERE);
  }

  #on(name, event, act) {
    part(this.#dialog, name).addEventListener(event, act);
  }

  #leave(act, subject) {
    this.close();
    act(subject);
  }

  #pickLabel(event, onLabel) {
    const label = event.target.closest("a");
    if (!label || event.ctrlKey || event.metaKey || event.shiftKey) return; // these open another tab or window
    event.preventDefault();
    this.#leave(onLabel, label.textContent);
  }

  #press(event) {
    const index = indexAfter(event.key, this.#index, this.#hits.length - 1);
    if (index === null) return;
    event.preventDefault();
    if (index in this.#hits) this.#show(index);
  }

  /** Two fingers zoom, and the row of labels scrolls. */
  #touch({ touches, target }) {
    const isSwipe = touches.length === 1 && !part(this.#dialog, "labels").contains(target);
    this.#swipeStart = isSwipe ? touches[0].clientX : null;
  }

  #swipe({ changedTouches }) {
    const moved = this.#swipeStart === null ? 0 : changedTouches[0].clientX - this.#swipeStart;
    this.#swipeStart = null;
    if (Math.abs(moved) >= SWIPE_PX) this.#step(moved < 0 ? 1 : -1);
  }

  #step(by) {
    if (this.#index + by in this.#hits) this.#show(this.#index + by);
  }

  #show(index) {
    const hit = this.#hits[index];
    this.#index = index;
    const picture = part(this.#dialog, "picture");
    picture.width = hit.width * ENLARGE;
    picture.height = hit.height * ENLARGE;
    picture.src = hit.url;
    const [caption = ""] = hit.captions ?? [];
    picture.alt = caption || hit.path;
    part(this.#dialog, "description").textContent = caption;
    part(this.#dialog, "description").hidden = !caption;
    part(this.#dialog, "place").textContent = `${whole(index + 1)} of ${whole(this.#hits.length)}`;
    part(this.#dialog, "folder").textContent = hit.path.slice(0, hit.path.lastIndexOf("/") + 1);
    part(this.#dialog, "name").textContent = nameOf(hit);
    part(this.#dialog, "share").setAttribute("width", 100 * hit.relevance);
    part(this.#dialog, "relevance").textContent = `Relevance ${percent(hit.relevance)}`;
    part(this.#dialog, "size").textContent = `${whole(hit.width)} × ${whole(hit.height)} pixels`;
    part(this.#dialog, "original").href = hit.url;
    this.#enable("previous", index > 0);
    this.#enable("next", index < this.#hits.length - 1);
    this.#showLabels(hit);
  }

  /** Fills the row of labels once they are known. It keeps its height without them, so nothing moves. */
  async #showLabels(hit) {
    const list = part(this.#dialog, "labels");
    this.#labelling.abort();
    const { signal } = (this.#labelling = new AbortController());
    if (list.contains(document.activeElement)) byId("viewer-path").focus(); // the arrow keys need a focus in the dialog
    list.replaceChildren();
    try {
      const labels = await labelsOfHit(hit, signal);
      if (!signal.aborted) list.replaceChildren(...labelItems(labels, this.#addressOf));
    } catch {
      // the view is complete without labels
    }
  }

  /** Browsers cannot display every format that the index holds, but they can display thumbnails. */
  #showThumbnail() {
    const { thumbnail_url: thumbnail } = this.#hits[this.#index];
    const picture = part(this.#dialog, "picture");
    if (picture.getAttribute("src") !== thumbnail) picture.src = thumbnail;
  }

  /** Uses aria-disabled, so that a button at its end keeps the focus. */
  #enable(name, possible) {
    part(this.#dialog, name).setAttribute("aria-disabled", String(!possible));
  }
}
