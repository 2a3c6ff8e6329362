/** Pictures that a search was made with. An address can only name their number, and only while the page is open. */

export class PictureShelf {
  #files = [];

  /** @returns {string} the picture's number */
  keep(file) {
    const known = this.#files.indexOf(file);
    return String(known < 0 ? this.#files.push(file) - 1 : known);
  }

  /** @returns {File|undefined} */
  get(number) {
    return this.#files[number];
  }
}
