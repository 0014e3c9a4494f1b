// The labelled frames by class: pages of small ones, one large. Which were in view, and how long, is kept.

import { Clock } from "./clock.js";

const $ = (id) => document.getElementById(id);
const SHORTEST = 200; // milliseconds: what is passed over faster was not looked at

export class Labelled {
  kept = Promise.resolve(); // until what was looked at last is on the server's disk
  #number = 0;
  #page = null; // what the server said of the page
  #large = null; // place on the page of the frame that is open
  #look = null; // what is in view
  #clock = new Clock();
  #turn = 0;

  constructor({ dialog, ask, own, classOf, classes, changed }) {
    Object.assign(this, { dialog, ask, own, classOf, classes, changed });
    $("labelled-close").addEventListener("click", () => dialog.close());
    $("earlier").addEventListener("click", () => this.#step(-1));
    $("later").addEventListener("click", () => this.#step(1));
    dialog.addEventListener("close", () => this.close());
    dialog.addEventListener("cancel", (event) => {
      if (this.#large === null) return;
      event.preventDefault();
      this.#enlarge(null);
    });
    dialog.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("visibilitychange", () => this.#run());
  }

  // `counts`: how many labelled frames each class has.
  begin(counts) {
    this.counts = counts;
    this.#number = 0;
    $("look").disabled = !counts.some(Boolean);
    $("look").title = counts.some(Boolean) ? "" : "Every image shares a patient with a frame to classify";
  }

  open() {
    if (!this.counts?.some(Boolean) || this.dialog.open) return;
    $("labelled-classes").replaceChildren(...this.classes().map(({ name, key }, number) => {
      const button = document.createElement("button"), cap = document.createElement("kbd");
      const text = document.createElement("span"), count = document.createElement("small");
      [cap.textContent, text.textContent, count.textContent] = [key.toUpperCase(), name, this.counts[number]];
      button.append(cap, text, count);
      button.addEventListener("click", () => this.#show(number, 0));
      return button;
    }));
    this.dialog.showModal();
    this.changed();
    this.#show(this.#number, 0);
  }

  // What was in view is sent; the page may be on its way out.
  close() {
    this.#turn += 1;
    this.#view(null);
  }

  async #show(number, page) {
    const turn = ++this.#turn;
    this.#view(null);
    const told = await this.ask(this.own(`/labelled/${number}?page=${page}`));
    if (!told || turn !== this.#turn) return;
    [this.#number, this.#page] = [number, told];
    [...$("labelled-classes").children].forEach((button, place) => {
      button.classList.toggle("said", place === number);
      button.setAttribute("aria-pressed", place === number);
    });
    this.#enlarge(null);
  }

  #enlarge(place) {
    const { tokens, page, pages, first, count } = this.#page, name = this.classes()[this.#number].name;
    this.#large = place;
    const view = $("labelled-view");
    view.classList.toggle("large", place !== null);
    if (place !== null) view.replaceChildren(this.#picture(tokens[place], `${name}, labelled frame, large`));
    else if (tokens.length) view.replaceChildren(...tokens.map((token, at) => this.#small(token, at, name)));
    else view.replaceChildren(Object.assign(document.createElement("p"), { textContent: `No labelled frame of ${name}.` }));
    $("labelled-place").textContent = place === null
      ? `${name} · page ${page + 1} of ${pages}`
      : `${name} · ${first + place + 1} of ${count} · Esc: back to small ones`;
    $("earlier").disabled = page === 0 && !place;
    $("later").disabled = page === pages - 1 && (place === null || place === tokens.length - 1);
    this.#view(tokens.length ? { tokens: place === null ? tokens : [tokens[place]], large: place !== null } : null);
    (view.querySelector("button") ?? this.dialog).focus({ preventScroll: true });
  }

  #small(token, at, name) {
    const button = document.createElement("button");
    button.setAttribute("aria-label", `Labelled frame ${at + 1}, ${name}: open`);
    button.append(this.#picture(token, ""));
    button.addEventListener("click", () => this.#enlarge(at));
    return button;
  }

  #picture(token, alt) {
    const image = new Image();
    image.alt = alt;
    image.src = this.own(`/labelled/${token}.png`);
    return image;
  }

  async #step(by) {
    if (!this.#page) return;
    const { page, pages, tokens } = this.#page, place = this.#large === null ? null : this.#large + by;
    if (place !== null && place >= 0 && place < tokens.length) return this.#enlarge(place);
    if (page + by < 0 || page + by >= pages) return undefined;
    await this.#show(this.#number, page + by);
    if (place !== null && this.#page.page === page + by) this.#enlarge(by > 0 ? 0 : this.#page.tokens.length - 1);
    return undefined;
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const number = this.classOf(event);
    const acts = { arrowleft: () => this.#step(-1), arrowright: () => this.#step(1), l: () => this.dialog.close() };
    const act = number >= 0 ? () => this.#show(number, 0) : acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    if (!event.repeat) act();
  }

  #view(look) {
    const milliseconds = this.#clock.milliseconds, before = this.#look;
    this.#clock.reset();
    this.#look = look;
    this.#run();
    if (before && milliseconds >= SHORTEST) {
      this.kept = this.kept.then(() => this.ask(this.own("/looked"), { ...before, milliseconds }));
    }
  }

  #run() {
    this.#clock.run(this.#look !== null && document.visibilityState === "visible");
  }
}
