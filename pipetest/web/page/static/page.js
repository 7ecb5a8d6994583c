// Keeps the page up to date: by server-sent events or, where they do not come through, by polling.

const POLL_MS = 5_000;
const LOST_MS = 10_000; // after a failure; a restart takes less
const SILENT_MS = 45_000; // without one: something comes every 15 s
const ANSWER_MS = 8_000; // for so long the answer to a button is shown
const root = document.documentElement;
const line = document.getElementById("line");

// --- regions

const REGIONS = "main > *, #about";
const shown = new Map();

function show(region) {
  const old = document.getElementById(region.id);
  if (!old || isChosen(old) || shown.get(region.id) === region.outerHTML) return;
  shown.set(region.id, region.outerHTML);
  const focused = old.contains(document.activeElement) ? nameOf(document.activeElement) : "";
  if (old.querySelector("details[open]")) region.querySelector("details")?.setAttribute("open", "");
  old.replaceWith(region);
  const successors = focused ? Array.from(region.querySelectorAll("a, button, summary")) : [];
  successors.find((element) => nameOf(element) === focused)?.focus({ preventScroll: true });
  showTimes(region);
  if (region.id === "health") announceHealth();
}

// What somebody has chosen, or is just choosing, is not replaced.
function isChosen(region) {
  const fields = Array.from(region.querySelectorAll("form input, form select"));
  return "chosen" in region.dataset || fields.some((field) => field === document.activeElement || field.value !== field.defaultValue && field.matches("input"));
}

// By what an element is found again in its region after the region was replaced.
function nameOf(element) {
  return element.id || element.dataset.post || element.getAttribute("href") || element.localName;
}

// For screen readers, and in the title.
function announceHealth() {
  const told = document.getElementById("told");
  const word = document.querySelector("h1").textContent;
  const why = Array.from(document.querySelectorAll("#health li"), (item) => item.textContent.trim().replace(/\s+/g, " "));
  const text = `${word}. ${why.join(" ")}`.trim();
  if (told.textContent !== text) told.textContent = text;
  document.title = `${word} · ${document.title.split(" · ").slice(-2).join(" · ")}`;
}

function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

function setLine(text, live) {
  line.textContent = text;
  line.classList.toggle("live", live);
}

// --- contact: what is shown without any is old, and must not look as if it were so now

let contactAt = Date.now();
let failedAt = null;

function contact() {
  contactAt = Date.now();
  failedAt = null;
  delete root.dataset.lost;
}

function failed() {
  failedAt ??= Date.now();
}

function checkContact() {
  const now = Date.now();
  const lost = now - contactAt > SILENT_MS || (failedAt !== null && now - failedAt > LOST_MS);
  if (!lost || "lost" in root.dataset) return;
  root.dataset.lost = "";
  const health = document.getElementById("health");
  const what = document.createElement("strong");
  what.textContent = "No answer comes from pipetest";
  const remedy = document.createElement("p");
  remedy.textContent = "All below is as it was then. See whether its process runs, and its log; this page goes on by itself.";
  const item = document.createElement("li");
  item.append(what, ", ", since(contactAt), remedy);
  const list = document.createElement("ul");
  list.append(item);
  health.querySelector("h1").textContent = "No contact";
  health.replaceChildren(health.querySelector(".state"), list);
  health.querySelector(".state > p")?.remove();
  shown.delete("health"); // so that it is shown again, even unchanged
  setLine("No contact", false);
  announceHealth();
}

function since(ms) {
  const time = document.createElement("time");
  time.dateTime = new Date(ms).toISOString();
  time.dataset.since = "";
  showTime(time);
  return time;
}

// --- updates

function follow() {
  const events = new EventSource("events");
  events.onmessage = ({ data }) => {
    contact();
    setLine("Live", true);
    for (const html of Object.values(JSON.parse(data))) show(parse(html).body.firstElementChild);
  };
  events.onerror = () => {
    failed();
    if (!("lost" in root.dataset)) setLine("Reconnecting", false);
    if (events.readyState === EventSource.CLOSED) poll();
  };
}

async function poll() {
  try {
    const answer = await fetch(".", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const regions = parse(await answer.text()).querySelectorAll(REGIONS);
    contact();
    for (const region of regions) show(region);
    setLine(`Asked every ${POLL_MS / 1_000} seconds`, true);
  } catch {
    failed();
  }
  setTimeout(poll, POLL_MS);
}

// --- times

const SPANS = [
  [31_557_600, "year", "years"],
  [2_629_800, "month", "months"],
  [86_400, "day", "days"],
  [3_600, "h", "h"],
  [60, "min", "min"],
];

// Of a moment that is so many seconds ahead, or ago; of one since which something is so, for how long.
function inWords(seconds, isSince) {
  const [size, one, many] = SPANS.find(([size]) => Math.abs(seconds) >= size) ?? [];
  if (!size) return isSince ? "for a moment" : seconds > 0 ? "in a moment" : "just now";
  const number = Math.trunc(Math.abs(seconds) / size);
  const span = `${number} ${number === 1 ? one : many}`;
  return isSince ? `for ${span}` : seconds > 0 ? `in ${span}` : `${span} ago`;
}

function showTime(time) {
  const moment = new Date(time.dateTime);
  time.textContent = inWords((moment - Date.now()) / 1_000, "since" in time.dataset);
  time.title = moment.toLocaleString();
}

function showTimes(within) {
  for (const time of within.querySelectorAll("time")) showTime(time);
}

// --- controls, for whoever has the admin token. It is kept for this tab alone

const STORED_AS = "pipetest-admin-token";
const admin = document.getElementById("admin");

function storage() {
  try {
    return window.sessionStorage;
  } catch {
    return null; // the browser keeps nothing: the token is asked for again after a reload
  }
}

let token = admin ? storage()?.getItem(STORED_AS) ?? "" : "";

async function ask(method, path, bearer) {
  const answer = await fetch(path, { method, headers: { Authorization: `Bearer ${bearer}` } }).catch(() => null);
  if (answer === null) return "pipetest cannot be reached.";
  if (answer.ok) return "";
  if (answer.status === 401) return "This is not the admin token.";
  const { detail } = await answer.json().catch(() => ({ detail: answer.statusText }));
  return `${detail}.`;
}

function signedIn(bearer) {
  token = bearer;
  storage()?.setItem(STORED_AS, bearer);
  root.dataset.admin = "";
}

function signOut() {
  token = "";
  storage()?.removeItem(STORED_AS);
  delete root.dataset.admin;
}

let clearing = 0;

function answered(text, isRefusal) {
  const output = document.getElementById("answer");
  output.textContent = text;
  output.classList.toggle("error", isRefusal);
  clearTimeout(clearing);
  clearing = setTimeout(() => (output.textContent = ""), ANSWER_MS);
}

async function post(button) {
  const refusal = await ask("POST", button.dataset.post, token);
  answered(refusal || button.dataset.done, Boolean(refusal));
}

async function signIn(form) {
  const field = form.elements.token;
  const refusal = await ask("GET", "admin", field.value);
  document.getElementById("refused").textContent = refusal;
  field.toggleAttribute("aria-invalid", Boolean(refusal));
  if (refusal) {
    field.select();
    return;
  }
  signedIn(field.value);
  form.reset();
  admin.querySelector("details").open = false;
  document.getElementById("sign-out").focus();
  answered("Signed in for this tab.", false);
}

async function control() {
  if (!admin) return;
  admin.hidden = false;
  const details = admin.querySelector("details");
  const summary = admin.querySelector("summary");
  admin.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    signIn(event.target);
  });
  details.addEventListener("toggle", () => details.open && details.querySelector("input").focus());
  admin.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !details.open) return;
    details.open = false;
    summary.focus();
  });
  document.getElementById("sign-out").addEventListener("click", () => {
    signOut();
    summary.focus();
  });
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-post]");
    if (button) post(button);
  });
  if (token && (await ask("GET", "admin", token)) === "") signedIn(token);
}

control();
for (const region of document.querySelectorAll(REGIONS)) shown.set(region.id, region.outerHTML);
showTimes(document);
announceHealth();
setInterval(() => showTimes(document), 15_000);
setInterval(checkContact, 1_000);
follow();
