// The script of pages on which something long is written.
import { editCode, type Language } from "./code";
import { editMail } from "./mail";

function enliven(): void {
  for (const area of document.querySelectorAll<HTMLTextAreaElement>("textarea[data-code]")) {
    const language = area.dataset.code as Language;
    delete area.dataset.code; // once
    editCode(area, language);
  }
  for (const area of document.querySelectorAll<HTMLTextAreaElement>("textarea[data-mail]")) {
    if (area.hidden || area.dataset.words === undefined) continue;
    editMail(area);
    delete area.dataset.words;
  }
}

enliven();
document.addEventListener("htmx:after:swap", enliven);
