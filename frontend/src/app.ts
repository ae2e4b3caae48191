// The one script of every page. Pages work without it; it makes them livelier.
import "htmx.org";
import { localiseTimes } from "./times";

localiseTimes(document);
// Whatever htmx puts into the page holds times in UTC again.
document.addEventListener("htmx:after:swap", () => localiseTimes(document));
