// The language links take along what is typed in a form and not kept yet: to the same page in the
// other language, by the tab's own storage, once. Passwords and files are never put there.

const CARRIED = "ums.carried";
const SENT_FROM = "ums.sent-from";
type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

interface Carried {
  page: string;
  forms: Record<string, [string, string | boolean][]>; // by their actions
}

/** What is typed in each of `forms`, for the page that `link` leads to; never what is secret. */
export function carry(forms: HTMLFormElement[], link: HTMLAnchorElement): void {
  const [form] = forms;
  if (form === undefined) return;
  leadBack(form, link);
  const carried: Carried = { page: link.pathname, forms: {} };
  for (const one of forms) {
    carried.forms[actionOf(one)] = controls(one).map((control) => [signOf(control), typed(control)]);
  }
  sessionStorage.setItem(CARRIED, JSON.stringify(carried));
}

/** Put back what came along; only on the very page that a language link has led to. */
export function restore(forms: HTMLFormElement[]): void {
  const text = sessionStorage.getItem(CARRIED);
  sessionStorage.removeItem(CARRIED);
  if (text === null || !new URLSearchParams(location.search).has("lang")) return;
  const carried = JSON.parse(text) as Carried;
  if (carried.page !== location.pathname) return;
  for (const form of forms) fill(form, carried.forms[actionOf(form)] ?? []);
}

/** Remember on which page a form is: one that is refused is shown at its action's address. */
export function rememberPage(form: HTMLFormElement): void {
  if (isAnswer(form)) return;
  const page = location.pathname + location.search;
  sessionStorage.setItem(SENT_FROM, JSON.stringify([actionOf(form), page]));
}

/** Whether something in the form cannot come along. */
export function hasUncarried(form: HTMLFormElement): boolean {
  return [...form.elements].some(
    (one) =>
      one instanceof HTMLInputElement && ["password", "file"].includes(one.type) && one.value !== "",
  );
}

/** Whether this page is the answer to the form that it holds. */
function isAnswer(form: HTMLFormElement): boolean {
  return form.querySelector("[aria-invalid=true], .trouble") !== null;
}

function leadBack(form: HTMLFormElement, link: HTMLAnchorElement): void {
  const [action, page] = JSON.parse(sessionStorage.getItem(SENT_FROM) ?? "[]") as string[];
  if (!isAnswer(form) || page === undefined || action !== actionOf(form)) return;
  const target = new URL(page, location.href);
  target.searchParams.set("lang", new URL(link.href).searchParams.get("lang") ?? "");
  link.href = target.href;
}

function actionOf(form: HTMLFormElement): string {
  return new URL(form.action).pathname;
}

function controls(form: HTMLFormElement): Control[] {
  const left = ["hidden", "password", "file", "submit", "button", "reset"];
  return [...form.elements].filter(
    (one): one is Control => "value" in one && !left.includes((one as Control).type),
  );
}

function isTick(control: Control): control is HTMLInputElement {
  return control.type === "checkbox" || control.type === "radio";
}

/** By what a control is found again: of several with one name, those are taken in their order. */
function signOf(control: Control): string {
  return isTick(control) ? `${control.name}=${control.value}` : control.name;
}

function typed(control: Control): string | boolean {
  return isTick(control) ? control.checked : control.value;
}

function fill(form: HTMLFormElement, values: [string, string | boolean][]): void {
  const left = [...values];
  for (const control of controls(form)) {
    const place = left.findIndex(([sign]) => sign === signOf(control));
    const [[, value] = ["", ""]] = place < 0 ? [] : left.splice(place, 1);
    if (place < 0) continue;
    if (isTick(control)) control.checked = value === true;
    else control.value = String(value);
  }
  form.closest("details")?.setAttribute("open", "");
}
