// Something long that is being written: kept on the server while it is typed (data-save), with the
// parts of the form that belong to a channel asked for anew when another is chosen (data-switch),
// and a warning where leaving would throw away what is not kept: in every form that is posted,
// unless nobody would miss it (data-free). The language links take along what is typed.
import { carry, hasUncarried, rememberPage, restore } from "./carrying";

const PAUSE = 800; // ms after the last key
const AGAIN = 5_000; // ms after it could not be saved

export function guardWriting(root: ParentNode): void {
  const forms = [
    ...root.querySelectorAll<HTMLFormElement>("main form[method=post]:not([data-free])"),
  ];
  const writings = forms.map((form) => new Writing(form));
  restore(forms);
  for (const link of root.querySelectorAll<HTMLAnchorElement>(".languages a")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab
      const dirty = writings.filter((one) => one.isDirty());
      carry(
        dirty.map((one) => one.form),
        link,
      );
      for (const one of dirty) one.sending = !hasUncarried(one.form);
    });
  }
}

class Writing {
  private kept: string;
  sending = false;
  private timer: number | undefined;
  private working: Promise<void> = Promise.resolve();

  constructor(readonly form: HTMLFormElement) {
    this.kept = this.state();
    // A form that was refused holds what is nowhere else.
    if (form.querySelector("[aria-invalid=true], .trouble")) this.kept = "";
    if (form.dataset.unsaved !== undefined) this.kept = "";
    for (const kind of ["input", "change"]) form.addEventListener(kind, () => this.later(PAUSE));
    form.addEventListener("submit", () => this.submitted());
    window.addEventListener("pageshow", () => {
      this.sending = false;
    });
    window.addEventListener("beforeunload", (event) => {
      if (!this.sending && this.isDirty()) event.preventDefault();
    });
    this.followChannel();
  }

  /** Note for the next page, which may show the same form again, whether there is anything new. */
  private submitted(): void {
    this.sending = true;
    clearTimeout(this.timer);
    rememberPage(this.form);
    const unsaved = this.form.elements.namedItem("unsaved");
    if (unsaved instanceof HTMLInputElement) unsaved.value = this.isDirty() ? "1" : "";
  }

  /** All that is typed, and the names of the files that are chosen. */
  private state(): string {
    const named: [string, string][] = [];
    for (const [name, value] of new FormData(this.form)) {
      if (name !== "draft" && name !== "unsaved") named.push([name, value instanceof File ? value.name : value]);
    }
    return JSON.stringify(named);
  }

  isDirty(): boolean {
    return this.state() !== this.kept;
  }

  private later(after: number): void {
    clearTimeout(this.timer);
    if (this.form.dataset.save === undefined) return;
    this.timer = setTimeout(() => {
      this.working = this.working.then(() => this.save());
    }, after);
  }

  private async save(): Promise<void> {
    if (this.sending || !this.isDirty()) return;
    const state = this.state();
    const answer = await this.post(this.form.dataset.save ?? "");
    if (this.sending) return;
    if (answer?.ok) this.saved(await answer.text(), state);
    else this.later(AGAIN);
    this.tell(answer?.ok === true);
  }

  /** Send the form without its files; undefined where the server is away. */
  private post(where: string): Promise<Response | undefined> {
    const data = new FormData(this.form);
    for (const [name, value] of [...data]) if (value instanceof File) data.delete(name);
    return fetch(where, { method: "POST", body: data }).catch(() => undefined);
  }

  private saved(id: string, state: string): void {
    // Files are not kept so: with one chosen, leaving still warns.
    if (![...new FormData(this.form).values()].some((one) => one instanceof File && one.name)) {
      this.kept = state;
    }
    const draft = this.form.elements.namedItem("draft") as HTMLInputElement;
    if (draft.value === id) return;
    draft.value = id;
    this.form.action = `/send/${id}`;
    history.replaceState(null, "", `/send/${id}`);
  }

  private tell(ok: boolean): void {
    const place = this.form.querySelector<HTMLElement>("[data-saved]");
    if (place) place.textContent = (ok ? place.dataset.saved : this.form.dataset.notSaved) ?? "";
  }

  private followChannel(): void {
    const select = this.form.querySelector<HTMLSelectElement>("select[data-switch]");
    select?.addEventListener("change", async () => {
      const answer = await this.post(select.dataset.switch ?? "");
      if (!answer?.ok) return this.tell(false);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of this.form.querySelectorAll("[data-of-channel]")) {
        const fresh = page.getElementById(part.id);
        if (fresh) part.replaceWith(fresh);
      }
    });
  }
}
