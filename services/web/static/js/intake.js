/** Three ways to bring in pictures: drop them anywhere, paste them anywhere, or choose them on the device. */

import { announce, byId } from "./dom.js";

/**
 * @param onFiles called with the dropped files
 * @param onAddress called with the address of a picture that was dragged over from another page
 * @param invitation returns the text of the drop overlay
 */
export function acceptDrops({ onFiles, onAddress, invitation }) {
  const overlay = byId("drop-overlay");
  let ours = false; // a thumbnail or link of this page is being dragged
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
    if (files.length) onFiles(files);
    else if (/^https?:/.test(address)) onAddress(address);
    else announce("There is no picture in what you dropped. Instead of a folder, drop the pictures in it.");
  });
}

export function acceptPastes(onFiles) {
  addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return; // text, for the focused field
    event.preventDefault();
    onFiles(files);
  });
}

/** Makes a button open the file chooser of the device. */
export function onChoose(button, input, onFiles) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // so that the same file can be chosen again
    if (files.length) onFiles(files);
  });
}

function carriesPicture(transfer) {
  return transfer.types.includes("Files") || transfer.types.includes("text/uri-list");
}

/** The files without the folders, which browsers list as files too. */
function filesOf(transfer) {
  const folders = [...transfer.items].map((item) => item.kind === "file" && item.webkitGetAsEntry?.()?.isDirectory);
  const kept = [...transfer.items].filter((item, index) => item.kind === "file" && !folders[index]);
  return kept.map((item) => item.getAsFile()).filter(Boolean);
}
