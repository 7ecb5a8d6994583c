// Keeps the page up to date: by server-sent events or, where they do not come through, by polling.

const POLL_MS = 5_000;
const LOST_MS = 10_000; // after a failure; a restart takes less
const SILENT_MS = 45_000; // without one: something comes every 15 s
const line = document.getElementById("line");
let token = "";

// --- regions

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
  return element.id || element.getAttribute("href") || element.localName;
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
  delete document.documentElement.dataset.lost;
}

function failed() {
  failedAt ??= Date.now();
}

function checkContact() {
  const now = Date.now();
  const lost = now - contactAt > SILENT_MS || (failedAt !== null && now - failedAt > LOST_MS);
  if (!lost || "lost" in document.documentElement.dataset) return;
  document.documentElement.dataset.lost = "";
  document.querySelector("h1").textContent = "No contact";
  shown.delete("health"); // so that it is shown again, even unchanged
  setLine(`No contact since ${new Date(contactAt).toLocaleTimeString()}`, false);
  announceHealth();
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
    if (!("lost" in document.documentElement.dataset)) setLine("Reconnecting", false);
    if (events.readyState === EventSource.CLOSED) poll();
  };
}

async function poll() {
  try {
    const answer = await fetch(".", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const regions = parse(await answer.text()).querySelectorAll("main > *");
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
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });

function inWords(seconds) {
  const [unit, size] = SPANS.find(([, size]) => Math.abs(seconds) >= size) ?? [];
  if (!unit) return seconds > 0 ? "in a moment" : "just now";
  return words.format(Math.trunc(seconds / size), unit);
}

function showTimes(within) {
  for (const time of within.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    time.textContent = inWords((moment - Date.now()) / 1_000);
    time.title = moment.toLocaleString();
  }
}

// --- controls, for whoever has the token, which stays in this page's memory

async function post(path, output) {
  const answer = await fetch(path, { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  if (answer.ok) {
    output.textContent = "Done.";
  } else {
    output.textContent = (await answer.json()).detail;
    if (answer.status === 401) delete document.documentElement.dataset.admin;
  }
}

function control() {
  const form = document.getElementById("controls");
  if (!form) return;
  form.hidden = false;
  const output = form.querySelector("output");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    token = form.elements.token.value;
    document.documentElement.dataset.admin = "";
    output.textContent = "";
  });
  document.addEventListener("click", ({ target }) => {
    const path = target.closest("[data-post]")?.dataset.post;
    if (path) post(path, output).catch(() => (output.textContent = "pipetest cannot be reached"));
  });
}

control();
for (const region of document.querySelectorAll("main > *")) shown.set(region.id, region.outerHTML);
showTimes(document);
announceHealth();
setInterval(() => showTimes(document), 15_000);
setInterval(checkContact, 1_000);
follow();
