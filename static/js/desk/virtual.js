// A list of any length with a few elements: those in sight and some around them, used again and again while one scrolls.
const AROUND = 6;
const MOST = 60;

export class VirtualList {
  /**
   * box scrolls and holds `.spacer`. `make()` returns a new element, `draw(element, id, index)` puts a row into it, `onRange(from, to)`
   * hears which rows are in sight or near.
   */
  constructor(box, { make, draw, onRange }) {
    this.box = box;
    this.spacer = box.querySelector(".spacer");
    this.make = make;
    this.draw = draw;
    this.onRange = onRange;
    this.ids = [];
    this.places = new Map();
    this.shown = new Map(); // index -> element
    this.free = [];
    this.asked = 0;
    const sample = this.#element();
    this.height = sample.offsetHeight || 76;
    this.#release(sample);
    box.addEventListener("scroll", () => this.#soon(), { passive: true });
    new ResizeObserver(() => this.#soon()).observe(box);
  }

  get size() { return this.ids.length; }

  indexOf(id) { return this.places.get(id) ?? -1; }

  /** Show these ids. What is in sight stays where it is, if `keeps` names a row that both lists have. */
  show(ids, { keeps = null, toTop = false } = {}) {
    const before = keeps === null ? -1 : this.indexOf(keeps);
    this.ids = ids;
    this.places = new Map(ids.map((id, index) => [id, index]));
    this.spacer.style.height = `${ids.length * this.height}px`;
    const after = keeps === null ? -1 : this.indexOf(keeps);
    if (toTop) this.box.scrollTop = 0;
    else if (before >= 0 && after >= 0) this.box.scrollTop += (after - before) * this.height;
    for (const [index, element] of this.shown) { this.#release(element); this.shown.delete(index); }
    this.update();
  }

  /** Return the id of the first row that is wholly in sight. */
  firstInSight() { return this.ids[Math.ceil(this.box.scrollTop / this.height)] ?? null; }

  elementOf(id) { return this.shown.get(this.indexOf(id)) ?? null; }

  /** Draw again those rows whose ids are in the set; all without one. */
  redraw(changed = null) {
    for (const [index, element] of this.shown) if (!changed || changed.has(this.ids[index])) this.draw(element, this.ids[index], index);
  }

  bringIntoSight(index) {
    const top = index * this.height;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + this.height > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + this.height - this.box.clientHeight;
    this.update();
  }

  update() {
    const inSight = Math.ceil(this.box.clientHeight / this.height) + 1;
    const begin = Math.floor(this.box.scrollTop / this.height);
    const number = Math.min(inSight + 2 * AROUND, MOST);
    const from = Math.max(0, Math.min(begin - AROUND, this.ids.length - number));
    const to = Math.min(this.ids.length, from + number);
    for (const [index, element] of this.shown) {
      if (index >= from && index < to) continue;
      this.#release(element);
      this.shown.delete(index);
    }
    for (let index = from; index < to; index += 1) {
      if (this.shown.has(index)) continue;
      const element = this.#element();
      element.style.transform = `translateY(${index * this.height}px)`;
      this.shown.set(index, element);
      this.draw(element, this.ids[index], index);
    }
    if (to > from) this.onRange(from, to);
  }

  #soon() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => { this.asked = 0; this.update(); });
  }

  #element() {
    const element = this.free.pop() ?? this.spacer.appendChild(this.make());
    element.hidden = false;
    return element;
  }

  #release(element) {
    element.hidden = true;
    this.free.push(element);
  }
}
