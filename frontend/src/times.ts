// Times come from the server in UTC; people read them in their own zone and language.

/** Rewrites every `<time datetime>` below `root` that has not been rewritten yet. */
export function localiseTimes(root: ParentNode): void {
  const format = formatter(document.documentElement.lang);
  for (const element of root.querySelectorAll<HTMLTimeElement>("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const local = format.format(moment);
    if (element.textContent === local) continue;
    element.textContent = local;
    element.title = element.dateTime;
  }
}

function formatter(pageLanguage: string): Intl.DateTimeFormat {
  // "en-GB" and "en-US" write dates differently: of the page's language, take the reader's kind.
  const [primary = "en"] = pageLanguage.split("-");
  const readers = navigator.languages.find((tag) => tag.split("-")[0] === primary);
  return new Intl.DateTimeFormat(readers ?? pageLanguage, {
    dateStyle: "medium",
    timeStyle: "medium",
  });
}
