// Time in view: it stands still while the frame is covered, paused, or in a hidden tab.
export class Clock {
  #sum = 0;
  #since = null;

  run(runs) {
    const now = performance.now();
    if (this.#since !== null) this.#sum += now - this.#since;
    this.#since = runs ? now : null;
  }

  reset() {
    this.#sum = 0;
    this.#since = null;
  }

  get milliseconds() {
    return this.#sum + (this.#since === null ? 0 : performance.now() - this.#since);
  }
}
