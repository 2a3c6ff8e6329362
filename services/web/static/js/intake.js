/** Three doors for pictures: dropped anywhere, pasted anywhere, or (see `choose`) picked from the device. */

import { announce, byId } from "./dom.js";

/**
 * @param takeFiles called with the dropped or pasted files
 * @param takeAddress called with the address of a picture that was dragged over from another page
 * @param invitation what the drop overlay says right now
 */
export function acceptDrops({ takeFiles, takeAddress, invitation }) {
  const overlay = byId("drop-overlay");
  let ours = false; // a thumbnail or a link of this page is dragged
  let depth = 0; // dragenter and dragleave also fire for every child
  const hide = () => {
    depth = 0;
    overlay.hidden = true;
  };

  const isWelcome = (event) => !ours && carriesPicture(event.dataTransfer);

  addEventListener("dragstart", () => (ours = true));
  addEventListener("dragend", () => (ours = false));
  addEventListener("dragenter", (event) => {
    if (!isWelcome(event)) return;
    event.preventDefault();
    depth += 1;
    overlay.firstElementChild.textContent = invitation();
    overlay.hidden = false;
  });
  addEventListener("dragover", (event) => {
    if (isWelcome(event)) event.preventDefault();
  });
  addEventListener("dragleave", () => {
    depth -= 1;
    if (depth <= 0) hide();
  });
  addEventListener("drop", (event) => {
    if (!isWelcome(event)) return;
    event.preventDefault();
    hide();
    const files = filesOf(event.dataTransfer);
    const address = event.dataTransfer.getData("text/uri-list").split("\n")[0].trim();
    if (files.length) takeFiles(files);
    else if (/^https?:/.test(address)) takeAddress(address);
    else announce("There was no picture in what you dropped. A folder's pictures have to be dropped themselves.");
  });
}

export function acceptPastes(takeFiles) {
  addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return; // words, for whatever field has the focus
    event.preventDefault();
    takeFiles(files);
  });
}

/** A button that opens the device's own picker. */
export function choose(button, input, takeFiles) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // so that the same file can be chosen again
    if (files.length) takeFiles(files);
  });
}

function carriesPicture(transfer) {
  return transfer.types.includes("Files") || transfer.types.includes("text/uri-list");
}

/** Without folders, which browsers also list as files. */
function filesOf(transfer) {
  const folders = [...transfer.items].map((item) => item.kind === "file" && item.webkitGetAsEntry?.()?.isDirectory);
  const kept = [...transfer.items].filter((item, index) => item.kind === "file" && !folders[index]);
  return kept.map((item) => item.getAsFile()).filter(Boolean);
}
