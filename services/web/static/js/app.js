/** Joins the parts of the page: the address says what is shown, the tabs and the links write the address. */

import { Address } from "./address.js";
import { CaptionTab } from "./caption.js";
import { byId, part } from "./dom.js";
import { FindTab } from "./find.js";
import { acceptDrops, acceptPastes } from "./intake.js";
import { PictureShelf } from "./shelf.js";
import { watchConnection, watchStatus } from "./status.js";
import { Tabs } from "./tabs.js";
import { Viewer } from "./viewer.js";

const NAME = "Image and Text";

const pictures = new PictureShelf();
const address = new Address(show);
const go = (state) => address.go(state);
const tabs = new Tabs(byId("tabs"), (name) => go(name === "find" ? find.state : { tab: "caption" }));
const caption = new CaptionTab(pictures);
const find = new FindTab({ pictures, go, open: (hits, index) => viewer.open(hits, index) });
const viewer = new Viewer({
  onClose: (index) => find.focus(index),
  onLike: (hit) => find.takeLike(hit.id),
  onCaption: (hit) => {
    go({ tab: "caption" });
    caption.takePictureOf(hit);
  },
});

function show(state) {
  viewer.close();
  tabs.show(state.tab);
  if (state.tab === "find") find.show(state);
  document.title = [state.text, state.tab === "find" ? "Find" : "Caption", NAME].filter(Boolean).join(" · ");
}

const isFinding = () => !byId("panel-find").hidden;
const takeFiles = (files) => (isFinding() ? find.takeFile(files[0]) : caption.takeFiles(files));

acceptPastes(takeFiles);
acceptDrops({
  takeFiles,
  takeAddress: (url) => {
    go({ tab: "caption" });
    caption.takeAddress(url);
  },
  invitation: () => (isFinding() ? "Drop to find pictures like it" : "Drop to put it into words"),
});
if (/Mac|iPhone|iPad/.test(navigator.userAgent)) part(document, "paste-keys").textContent = "⌘ V";
watchConnection();
watchStatus((models) => caption.offerModels(models));
address.start();
