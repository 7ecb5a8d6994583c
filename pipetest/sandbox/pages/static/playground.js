// Brings the page up to date every two seconds, but for the part that the keyboard is in.

const EVERY_MS = 2000;

async function refresh() {
  const answer = await fetch("/", { cache: "no-store" });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next && next.outerHTML !== part.outerHTML && !part.contains(document.activeElement)) {
      part.replaceWith(next);
    }
  }
}

setInterval(() => refresh().catch(() => {}), EVERY_MS);
