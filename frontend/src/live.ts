// Parts of a page that change while somebody looks. Quiet in a tab that nobody sees.

const AGAIN = 5_000; // ms after the server was away; EventSource itself gives up on an error page
const LEAVING = 10_000; // ms that whoever goes to another page is left alone

let left = -LEAVING;
window.addEventListener("beforeunload", () => {
  left = performance.now();
});

export function goLive(root: ParentNode, changed: () => void): void {
  for (const part of root.querySelectorAll<HTMLElement>("[data-live]")) follow(part, changed);
}

function follow(part: HTMLElement, changed: () => void): void {
  let source: EventSource | undefined;
  const stop = (): void => {
    source?.close();
    source = undefined;
  };
  const start = (): void => {
    stop();
    if (document.hidden) return;
    source = new EventSource(part.dataset.live ?? "");
    source.addEventListener("part", (event) => {
      put(part, String(event.data));
      changed();
    });
    source.addEventListener("end", () => {
      stop();
      again(); // the rest of the page is out of date as well
    });
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) setTimeout(start, AGAIN);
    });
  };
  document.addEventListener("visibilitychange", start);
  start();
}

/** Load the page again, with the word of what was just done. Not while another page, or a file, is
 * on its way: it would never come. */
function again(): void {
  const wait = left + LEAVING - performance.now();
  if (wait > 0) {
    setTimeout(again, wait);
    return;
  }
  const here = new URL(location.href);
  const { did } = document.body.dataset;
  if (did === undefined) return location.reload();
  here.searchParams.set("did", did);
  location.replace(here);
}

/** Replaces what is in `part`; a link that had the focus keeps it. */
function put(part: HTMLElement, html: string): void {
  const active = document.activeElement;
  const href = part.contains(active) ? active?.getAttribute("href") : null;
  part.innerHTML = html;
  if (!href) return;
  for (const link of part.querySelectorAll<HTMLElement>("a[href]")) {
    if (link.getAttribute("href") === href) link.focus();
  }
}
