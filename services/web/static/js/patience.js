/** Waiting: for a turn in the line, and for a busy service. */

const TRIES = 6;

/** At most `width` pieces of work at a time, in the order of arrival. */
export class Line {
  #waiting = [];
  #free;

  constructor(width) {
    this.#free = width;
  }

  /** Resolves with what `work` resolves with, once there is room; work whose signal is aborted never starts. */
  async run(work, signal) {
    if (this.#free === 0) await new Promise((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    try {
      signal?.throwIfAborted();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}

/**
 * Try until it works, waiting as long as the service asks for in between.
 * @param onWait called every second with the seconds left and a function that ends the wait
 */
export async function insist(attempt, { signal, onWait }) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (failure) {
      if (!failure.wait || tries === TRIES) throw failure;
      await countDown(failure.wait, onWait, signal);
    }
  }
}

function countDown(seconds, onWait, signal) {
  return new Promise((resolve, reject) => {
    let left = seconds;
    const finish = () => {
      clearInterval(timer);
      signal?.removeEventListener("abort", giveUp);
      resolve();
    };
    const giveUp = () => {
      clearInterval(timer);
      reject(signal.reason);
    };
    const timer = setInterval(() => {
      left -= 1;
      if (left > 0) onWait(left, finish);
      else finish();
    }, 1000);
    signal?.addEventListener("abort", giveUp, { once: true });
    onWait(left, finish);
  });
}
