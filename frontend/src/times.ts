// Times come from the server in the page's zone; people read them in their own language, and in
// their own zone where the page has none. Each says which zone it is in.

/** Rewrites every `<time datetime>` below `root` that has not been rewritten yet. */
export function localiseTimes(root: ParentNode): void {
  const format = formatter(document.documentElement.lang, document.body.dataset.zone);
  for (const element of root.querySelectorAll<HTMLTimeElement>("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const local = wordsOf(format.formatToParts(moment));
    if (element.textContent === local) continue;
    element.textContent = local;
    element.title = element.dateTime;
  }
}

/** The zone stands last: browsers put it between date and time in Chinese. */
function wordsOf(parts: Intl.DateTimeFormatPart[]): string {
  const isZone = (one: Intl.DateTimeFormatPart): boolean => one.type === "timeZoneName";
  const rest = parts.filter((one) => !isZone(one)).map((one) => one.value);
  const zone = parts.find(isZone)?.value.replace("GMT", "UTC") ?? "";
  return `${rest.join("").trim()} ${zone}`.replace(/\s+/g, " ");
}

function formatter(pageLanguage: string, zone: string | undefined): Intl.DateTimeFormat {
  // "en-GB" and "en-US" write dates differently: of the page's language, take the reader's kind.
  const [primary = "en"] = pageLanguage.split("-");
  const readers = navigator.languages.find((tag) => tag.split("-")[0] === primary);
  const options: Intl.DateTimeFormatOptions = {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "shortOffset",
  };
  try {
    return new Intl.DateTimeFormat(readers ?? pageLanguage, { ...options, timeZone: zone });
  } catch {
    return new Intl.DateTimeFormat(readers ?? pageLanguage, options); // a zone it does not know
  }
}

/** A field of a time zone that nobody has chosen yet gets the browser's. */
export function offerZone(root: ParentNode): void {
  for (const field of root.querySelectorAll<HTMLInputElement>("input[data-zone-of-browser]")) {
    if (field.value !== field.defaultValue) continue; // the browser brought back what was typed
    field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || field.value;
  }
}
