// The content of a mail: as rich text where nothing is lost by that, else as its source. A control
// of the form says what it is: html, mjml, or text, which stays a plain textarea.
import { CodeEditor, labelOf } from "./code";
import { isSimple, RichEditor, type Words } from "./rich";

export function editMail(area: HTMLTextAreaElement): void {
  const words = JSON.parse(area.dataset.words ?? "{}") as Words;
  const label = labelOf(area);
  const code = new CodeEditor(area, "html", label);
  const rich = new RichEditor(area, label, words);
  const change = document.createElement("button");
  let bySource = !isSimple(area.value);

  function show(): void {
    const kind = kindOf(area);
    const simple = isSimple(area.value);
    const byRich = kind === "html" && !bySource && simple;
    const byCode = kind === "mjml" || (kind === "html" && !byRich);
    area.hidden = byRich || byCode;
    rich.element.hidden = !byRich;
    code.element.hidden = !byCode;
    change.hidden = kind !== "html";
    change.textContent = (byRich ? words.source : words.rich) ?? "";
    change.disabled = byCode && !simple;
    change.title = change.disabled ? (words.not_rich ?? "") : "";
    if (byRich) rich.load();
    if (byCode) code.load();
  }

  change.type = "button";
  change.className = "plain";
  change.addEventListener("click", () => {
    bySource = !bySource;
    show();
  });
  area.after(rich.element, code.element, change);
  area.addEventListener("input", () => {
    if (!code.element.hidden) change.disabled = !isSimple(area.value);
  });
  area.form?.addEventListener("change", (event) => {
    if ((event.target as HTMLInputElement).name === area.dataset.mail) show();
  });
  area.labels?.[0]?.addEventListener("click", () => (rich.element.hidden ? code : rich).focus());
  show();
}

/** What the form's control `data-mail` says the content is. */
function kindOf(area: HTMLTextAreaElement): string {
  const chosen = new FormData(area.form ?? undefined).get(area.dataset.mail ?? "");
  return typeof chosen === "string" ? chosen : "";
}
