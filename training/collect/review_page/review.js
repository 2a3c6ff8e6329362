/** One pair at a time: the service keeps the state, this page shows it and sends what the person decides. */

const byId = (id) => document.getElementById(id);
const text = byId("text");
let current = null;
let busy = false;

async function call(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const reply = await fetch(path, options);
  const answer = await reply.json();
  if (!reply.ok) throw new Error(answer.detail);
  return answer;
}

/** Calls the service, one call at a time, and shows the state that it answers with. */
async function change(path, body, said) {
  if (busy) return;
  busy = true;
  try {
    show(await call(path, body));
    byId("said").textContent = said;
  } catch (error) {
    const unreachable = error instanceof TypeError || error instanceof SyntaxError;
    byId("problem").textContent = unreachable ? "The review has ended; start it again and reload." : error.message;
  } finally {
    busy = false;
  }
}

function show(state) {
  const done = state.accepted + state.rejected;
  byId("counts").textContent = `${done} of ${state.total} · ${state.accepted} accepted · ${state.rejected} rejected`;
  byId("progress").value = state.total ? done / state.total : 0;
  byId("undo").disabled = !state.can_undo;
  byId("problem").textContent = "";
  const wasEditing = document.activeElement === text;
  current = state.current;
  byId("pair").hidden = !current;
  byId("end").hidden = Boolean(current);
  if (!current) return showEnd(state);
  byId("broken").hidden = true;
  byId("picture").src = `pictures/${current.id}`;
  text.value = current.text;
  byId("author").textContent = current.author || "Unknown author";
  link(byId("licence"), current.licence, current.licence_url);
  link(byId("source"), current.provider, current.source_url);
  if (wasEditing) text.blur();
  if (state.next) new Image().src = `pictures/${state.next}`;
}

function showEnd({ total, accepted }) {
  byId("end-title").textContent = total ? "All pictures are reviewed." : "There is nothing to review.";
  byId("end-words").textContent = accepted
    ? "Export what was accepted: python -m training.collect export"
    : "Find pictures first: python -m training.collect pictures";
  byId("end-title").focus();
}

/** A link only where it leads to the web: addresses come from strangers. */
function link(element, words, address) {
  element.textContent = words;
  if (/^https?:\/\//.test(address)) Object.assign(element, { href: address, target: "_blank", rel: "noopener noreferrer" });
  else element.removeAttribute("href");
}

function decide(verdict) {
  if (current) change("decisions", { id: current.id, verdict, text: verdict === "rejected" ? current.text : text.value }, `Picture ${verdict}`);
}

function edit() {
  if (!current) return;
  text.focus();
  text.setSelectionRange(text.value.length, text.value.length);
}

const undo = () => !byId("undo").disabled && change("undo", {}, "Taken back");

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  decide("accepted");
});
byId("reject").addEventListener("click", () => decide("rejected"));
byId("edit").addEventListener("click", edit);
byId("undo").addEventListener("click", undo);
byId("picture").addEventListener("error", () => (byId("broken").hidden = false));

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.isComposing) {
    event.preventDefault();
    decide("accepted");
  }
  if (event.key === "Escape") {
    text.value = current.text;
    text.blur();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.target === text || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const action = { a: () => decide("accepted"), r: () => decide("rejected"), e: edit, u: undo }[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
});

change("state", undefined, "");
