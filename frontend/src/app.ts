// The one script of every page. Pages work without it; it makes them livelier.
import "htmx.org";
import { offerChoosing } from "./choosing";
import { offerCopying } from "./copying";
import { goLive } from "./live";
import { sendOnce } from "./once";
import { localiseTimes, offerZone } from "./times";
import { showUploads } from "./upload";
import { guardWriting } from "./writing";

function enliven(): void {
  localiseTimes(document);
  offerCopying(document);
}

/** What was just done is told once: loading the page again, or a bookmark, does not repeat it. */
function forgetDone(): void {
  const here = new URL(location.href);
  const did = here.searchParams.get("did");
  if (did === null) return;
  document.body.dataset.did = did;
  here.searchParams.delete("did");
  here.searchParams.delete("done");
  history.replaceState(history.state, "", here);
}

enliven();
forgetDone();
document.querySelector(".menu [aria-current]")?.scrollIntoView({ block: "nearest" });
offerZone(document);
goLive(document, enliven);
sendOnce(document);
offerChoosing(document);
showUploads(document);
guardWriting(document);
// Whatever htmx puts into the page holds times in UTC again.
document.addEventListener("htmx:after:swap", enliven);
