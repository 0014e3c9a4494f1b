// The reader page: begin, classify frame after frame by key, stop. An answer is on the server's disk before the next
// frame is shown. Nothing here knows a frame's class: frames are tokens, and answers are numbers of classes.

import { Clock } from "./clock.js";
import { Labelled } from "./labelled.js";

const params = new URLSearchParams(location.search);
const study = params.get("study") ?? "";
const tab = crypto.getRandomValues(new Uint32Array(4)).join("-");
const $ = (id) => document.getElementById(id);
const AGAIN = 1500; // milliseconds between tries while the server is away
const IDLE = 180_000; // milliseconds without a key or a move after which the page pauses
const HEARTBEAT = 20_000;

let about = null; // what the study has: classes with their keys, readers
let reader = null; // id, and whether the class is told
let state = null; // what the server said last
let pending = null; // the state after an answer whose class is being told
let busy = false;
let shown = 0;
let lastInput = performance.now();
const images = new Map();
const clock = new Clock();

const address = (path) => new URL(`api/${encodeURIComponent(study)}${path}`, document.baseURI);
const own = (path) => address(`/readers/${encodeURIComponent(reader.id)}${path}`);
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const say = (text = "") => { $("problem").textContent = text; $("problem").hidden = !text; };

const request = (body) => body && {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ tab, ...body }), keepalive: true,
};

// What the server says, asked until it answers. `null` where it refused: the reason stands on the page then.
async function ask(url, body) {
  for (;;) {
    let reply, content;
    try {
      reply = await fetch(url, { ...request(body), cache: "no-store", signal: AbortSignal.timeout(20_000) });
      if ([502, 503, 504].includes(reply.status)) throw new Error("a proxy without its server");
      content = await reply.json().catch(() => ({}));
    } catch {
      say("The server does not answer. What you chose last is not kept yet; trying again …");
      await wait(AGAIN);
      continue;
    }
    if (reply.ok) {
      say();
      return content;
    }
    if (content.taken) open($("taken"));
    else say((content.problems ?? [`The server failed (${reply.status}); what you chose last may not be kept.`]).join("\n"));
    if (content.state) await show(content.state);
    return null;
  }
}

// Says that this tab is still there; a server that is away is noticed by the next answer.
async function beat() {
  if (!reader || !state || $("taken").open) return;
  const reply = await fetch(own("/alive"), request({})).catch(() => null);
  if (reply?.status === 409 && (await reply.json()).taken) open($("taken"));
}

function bye() {
  if (!reader) return;
  const body = JSON.stringify({ tab, leaving: true });
  navigator.sendBeacon(own("/alive"), new Blob([body], { type: "application/json" }));
}

// Screens

function screen(id) {
  for (const one of ["start", "reading", "done"]) $(one).hidden = one !== id;
  ($(id).querySelector("h1") ?? $("stage")).focus({ preventScroll: true });
  run();
}

function open(dialog) {
  if (!dialog.open) dialog.showModal();
  run();
}

const covered = () => document.querySelector("dialog[open]") !== null;
const run = () => clock.run(Boolean(state?.current) && !pending && !$("reading").hidden && !covered() && document.visibilityState === "visible");

async function start() {
  about = await ask(address(""));
  if (!about) return;
  reader = state = pending = null;
  history.replaceState(null, "", location.pathname + location.search);
  $("about").textContent = `Say of each frame of ${about.data} what it shows: ${about.classes.map((one) => one.name).join(", ")}.`;
  $("caveats").textContent = about.caveats.join(" ");
  $("new").reset();
  $("known").hidden = !about.readers.length;
  $("known").querySelector("ul").replaceChildren(...about.readers.map(known));
  $("choice").hidden = Boolean(about.kept);
  $("kept").textContent = about.kept ? `${about.kept.words}, as for the other readers.` : "";
  options("exposure", [["", "choose …"], ...about.exposures.map((one) => [one, one])]);
  options("fold", about.choices.map(({ fold, frames }) => [fold ?? "", `${fold === null ? "all folds" : `fold ${fold}`}${frames ? ` (${frames} frames)` : ""}`]));
  legend();
  screen("start");
}

function options(name, entries) {
  $("new").elements[name].replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
}

function known({ id, name, done, frames }) {
  const item = document.createElement("li"), button = document.createElement("button"), small = document.createElement("small");
  small.textContent = done === frames ? `finished, ${frames}` : `${done} of ${frames}`;
  button.append(name, small);
  button.addEventListener("click", () => begin({ reader: id }));
  item.append(button);
  return item;
}

async function begin(wish) {
  say();
  if (wish.reader) reader = { id: wish.reader };
  const told = await ask(address("/begin"), wish);
  if (!told) return;
  reader = { id: told.reader, feedback: told.feedback };
  history.replaceState(null, "", `${location.pathname}${location.search}#reader=${encodeURIComponent(reader.id)}`);
  labelled.begin(told.labelled);
  images.clear();
  $("who").textContent = `${told.name} · kept after every key`;
  $("undo").hidden = told.feedback;
  screen("reading");
  await show(told);
}

$("new").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = (name) => event.target.elements[name].value.trim();
  const number = (name) => (field(name) === "" ? null : Number(field(name)));
  begin({
    name: field("name"), years: number("years"), examinations: number("examinations"), exposure: field("exposure"),
    note: field("note"), fold: number("fold"), most: number("most"), feedback: event.target.elements.feedback.checked,
  });
});

// Frames

function load(token) {
  if (!images.has(token)) {
    const image = new Image();
    image.draggable = false;
    image.src = own(`/frames/${token}.png`);
    images.set(token, image);
  }
  return images.get(token);
}

async function show(next) {
  const turn = ++shown;
  [state, pending] = [next, null];
  for (const button of $("classes").children) button.classList.remove("said", "true", "wrong");
  $("truth").textContent = "";
  progress();
  if (!next.current) return finish();
  if ($("reading").hidden) screen("reading");
  clock.reset();
  const image = await picture(next.current, turn);
  if (turn !== shown) return;
  image.alt = `Frame ${next.done + 1} of ${next.frames}`;
  $("stage").replaceChildren(image);
  document.body.dataset.frame = next.done + 1;
  $("spoken").textContent = `${image.alt}.${next.last ? ` Last answer: ${about.classes[next.last.number].name}.` : ""}`;
  run();
  const wanted = new Set([next.current, ...next.next, next.last?.token]);
  for (const token of images.keys()) if (!wanted.has(token)) images.delete(token);
  next.next.forEach(load);
}

async function picture(token, turn) {
  for (;;) {
    const image = load(token);
    try {
      await image.decode();
      return image;
    } catch {
      if (turn !== shown) return image;
      images.delete(token);
      say("The frame cannot be loaded; trying again …");
      await wait(AGAIN);
      say();
    }
  }
}

function progress() {
  const { done, frames, last, pace } = state;
  $("bar").value = frames ? done / frames : 0;
  $("place").textContent = `${done} of ${frames}${pace === null ? "" : ` · ${pace.toFixed(1)} s a frame`}`;
  $("pace").textContent = pace === null ? "" : `${timeLeft((frames - done) * pace)} left`;
  $("undo").disabled = !last;
  $("undo").lastChild.textContent = last ? `Undo ${about.classes[last.number].name}` : "Undo";
}

function timeLeft(seconds) {
  const minutes = Math.round(seconds / 60);
  if (minutes < 1) return "under a minute";
  return minutes < 60 ? `about ${minutes} min` : `about ${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

function finish() {
  $("thanks").textContent = `${state.frames} of ${state.frames} frames are answered and kept. Thank you, ${state.name}.`;
  $("undo-last").hidden = reader.feedback;
  $("stage").replaceChildren();
  document.body.dataset.frame = "done";
  screen("done");
}

async function answer(number) {
  if (busy || pending || !state?.current || covered()) return;
  const milliseconds = clock.milliseconds;
  const token = state.current;
  busy = true;
  const button = $("classes").children[number];
  button.classList.add("said");
  await labelled.kept;
  const next = await ask(own("/answer"), { token, number, milliseconds });
  if (!next) button.classList.remove("said");
  else if (next.truth === undefined) await show(next);
  else tell(number, next);
  busy = false;
}

function tell(number, next) {
  pending = next;
  run();
  $("classes").children[number].classList.add(number === next.truth ? "true" : "wrong");
  $("classes").children[next.truth].classList.add("true");
  $("truth").textContent = `${number === next.truth ? "Right" : "It is"}: ${about.classes[next.truth].name}. Enter goes on.`;
}

async function undo() {
  const last = state?.last;
  if (busy || !last || covered() || reader.feedback) return;
  busy = true;
  const before = await ask(own("/undo"), { token: last.token });
  if (before) await show(before);
  busy = false;
}

// Keys and buttons

function legend() {
  $("classes").classList.toggle("many", about.classes.length > 14);
  $("classes").replaceChildren(...about.classes.map(({ name, key }, number) => {
    const button = document.createElement("button"), cap = document.createElement("kbd"), text = document.createElement("span");
    cap.textContent = key.toUpperCase();
    text.textContent = name;
    button.append(cap, text);
    button.setAttribute("aria-keyshortcuts", key.toUpperCase());
    button.addEventListener("click", () => { $("stage").focus({ preventScroll: true }); answer(number); });
    return button;
  }));
}

// Number of the class whose key this is; digits also without the Shift that French keyboards want for them.
function classOf(event) {
  const keys = about.classes.map((one) => one.key);
  const number = keys.indexOf(event.key.toLowerCase());
  return number < 0 && !event.shiftKey && event.code.startsWith("Digit") ? keys.indexOf(event.code.slice(5)) : number;
}

addEventListener("keydown", (event) => {
  if ($("reading").hidden || covered() || event.ctrlKey || event.altKey || event.metaKey) return;
  const key = event.key.toLowerCase();
  if ([" ", "enter"].includes(key) && event.target.closest("button")) return;
  const number = classOf(event);
  const acts = {
    backspace: undo, u: undo, l: () => labelled.open(), " ": pending ? onward : pause, enter: onward, arrowright: onward,
  };
  if (number < 0 && !acts[key]) return;
  event.preventDefault();
  if (event.repeat) return; // a key that is held is one answer
  if (number >= 0) answer(number);
  else acts[key]();
});

const onward = () => { if (pending) show(pending); };
const pause = () => { if (!pending) open($("paused")); };
const labelled = new Labelled({ dialog: $("labelled"), ask, own, classOf, classes: () => about.classes, changed: run });

function leave() {
  bye();
  return start();
}

$("undo").addEventListener("click", undo);
$("undo-last").addEventListener("click", undo);
$("look").addEventListener("click", () => labelled.open());
$("pause").addEventListener("click", pause);
$("stop").addEventListener("click", leave);
$("to-start").addEventListener("click", leave);
$("leave").addEventListener("click", () => { $("taken").close(); start(); });
$("take").addEventListener("click", () => { $("taken").close(); begin({ reader: reader.id, take: true }); });
$("paused").querySelector("button").addEventListener("click", () => $("paused").close());
$("taken").addEventListener("cancel", (event) => event.preventDefault());
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("close", () => { $("stage").focus({ preventScroll: true }); run(); });
}
for (const kind of ["keydown", "pointerdown", "pointermove"]) addEventListener(kind, () => { lastInput = performance.now(); });

const heard = () => { $("away").hidden = document.hasFocus(); };
addEventListener("focus", heard);
addEventListener("blur", heard);
$("away").addEventListener("click", () => { window.focus(); $("stage").focus(); });
document.addEventListener("visibilitychange", run);
addEventListener("pagehide", () => {
  labelled.close();
  bye();
});
setInterval(() => {
  beat();
  if (!$("reading").hidden && !covered() && performance.now() - lastInput > IDLE) pause();
}, HEARTBEAT);

document.documentElement.dataset.theme = params.get("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
document.documentElement.dataset.embedded = window.self !== window.top;
const before = new URLSearchParams(location.hash.slice(1)).get("reader");
await start();
heard();
if (before && about?.readers.some((one) => one.id === before)) await begin({ reader: before });
