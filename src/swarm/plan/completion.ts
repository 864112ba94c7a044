/**
 * Says that a run is complete, once that is on disk: a listener may read the disk, or end the peer. Late work may
 * take it back, even while the disk writes.
 */
export class Completion {
  readonly #save: () => Promise<void>;
  readonly #say: () => void;
  #complete = false;
  /** How often the run became complete. */
  #times = 0;
  #saving = false;

  constructor(save: () => Promise<void>, say: () => void) {
    this.#save = save;
    this.#say = say;
  }

  /** Takes note of whether the run is complete now. Returns whether `tell` is due. */
  note(complete: boolean): boolean {
    const became = complete && !this.#complete;
    this.#complete = complete;
    if (became) this.#times++;
    return became && !this.#saving;
  }

  /** Saves, again if the run became complete once more meanwhile, and says so if it still is. Rejects as `save` does. */
  async tell(): Promise<void> {
    this.#saving = true;
    try {
      for (let saved = 0; saved !== this.#times;) {
        saved = this.#times;
        await this.#save();
      }
    } finally {
      this.#saving = false;
    }
    if (this.#complete) this.#say();
  }
}
