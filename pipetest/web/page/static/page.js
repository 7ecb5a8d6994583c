// Keeps the page up to date: by server-sent events or, where they do not come through, by polling.

const POLL_MS = 5_000;
const line = document.getElementById("line");
let token = "";

// --- regions

const shown = new Map();

function show(region) {
  const old = document.getElementById(region.id);
  if (!old || shown.get(region.id) === region.outerHTML) return;
  shown.set(region.id, region.outerHTML);
  const focused = old.contains(document.activeElement) ? nameOf(document.activeElement) : "";
  if (old.querySelector("details[open]")) region.querySelector("details")?.setAttribute("open", "");
  old.replaceWith(region);
  const successors = focused ? Array.from(region.querySelectorAll("a, button, summary")) : [];
  successors.find((element) => nameOf(element) === focused)?.focus({ preventScroll: true });
  showTimes(region);
  if (region.id === "health") announceHealth();
}

// By what an element is found again in its region after the region was replaced.
function nameOf(element) {
  return element.id || element.getAttribute("href") || element.localName;
}

// For screen readers, and in the title.
function announceHealth() {
  const told = document.getElementById("told");
  const word = document.querySelector("h1").textContent;
  const why = Array.from(document.querySelectorAll("#health li"), (item) => item.textContent);
  const text = [word, ...why].join(". ");
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

// --- updates

function follow() {
  const events = new EventSource("events");
  events.onopen = () => setLine("Live", true);
  events.onmessage = ({ data }) => {
    for (const html of Object.values(JSON.parse(data))) show(parse(html).body.firstElementChild);
  };
  events.onerror = () => {
    setLine("Reconnecting", false);
    if (events.readyState === EventSource.CLOSED) poll();
  };
}

async function poll() {
  try {
    const answer = await fetch(".", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    for (const region of parse(await answer.text()).querySelectorAll("main > *")) show(region);
    setLine(`Asked every ${POLL_MS / 1_000} seconds`, true);
  } catch {
    setLine("Cannot be reached", false);
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
follow();
