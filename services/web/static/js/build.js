/** The panel of the build that runs, or of the last one if it stopped. */

import { announce, byId, part } from "./dom.js";
import { whole } from "./numbers.js";
import { ago, span } from "./times.js";

const STAGES = {
  preparing: "Reading what is known",
  encoding: "Encoding pictures",
  writing: "Writing the version",
  tuning: "Choosing and tuning the kind of index",
  verifying: "Checking every byte",
  publishing: "Publishing",
};

export class BuildPanel {
  #panel = byId("build");
  #stage = null;

  /** @param {{running: object|null, stopped: object|null}} status */
  show({ running, stopped }) {
    this.#panel.hidden = !(running || stopped);
    part(this.#panel, "bar").hidden = !running;
    if (running) this.#showRunning(running);
    else if (stopped) this.#showStopped(stopped);
    this.#tell(running, stopped);
  }

  #showRunning(build) {
    this.#say("title", "A build is running");
    this.#say("stage", STAGES[build.stage]);
    this.#say("numbers", numbers(build).join(" · "));
    const bar = part(this.#panel, "bar");
    if (build.total) bar.max = build.total;
    if (build.total) bar.value = build.done;
    else bar.removeAttribute("value"); // how long this takes is not known
  }

  #showStopped(build) {
    this.#say("title", "The last build stopped");
    this.#say("stage", build.error ?? "Its process is gone. The same command goes on from there.");
    this.#say("numbers", [STAGES[build.stage], ...numbers(build), ago(build.updated)].join(" · "));
  }

  /** Numbers change every second, and would drown everything else that is said: stages are told. */
  #tell(running, stopped) {
    const stage = running?.stage ?? null;
    if (stage === this.#stage) return;
    if (running) announce(`A build is running: ${STAGES[stage]}.`);
    else announce(stopped ? "The build stopped." : "The build is done.");
    this.#stage = stage;
  }

  #say(name, text) {
    part(this.#panel, name).textContent = text;
  }
}

function numbers({ done, total, rate, eta_s: left }) {
  return [
    total && `${whole(done)} of ${whole(total)}`,
    rate && `${whole(Math.max(1, Math.round(rate)))} a second`,
    left && `about ${span(left)} left`,
  ].filter(Boolean);
}
