// The one script of every page. Pages work without it; it makes them livelier.
import "htmx.org";
import { offerCopying } from "./copying";
import { goLive } from "./live";
import { sendOnce } from "./once";
import { localiseTimes } from "./times";
import { showUploads } from "./upload";

function enliven(): void {
  localiseTimes(document);
  offerCopying(document);
}

enliven();
goLive(document, enliven);
sendOnce(document);
showUploads(document);
// Whatever htmx puts into the page holds times in UTC again.
document.addEventListener("htmx:after:swap", enliven);
