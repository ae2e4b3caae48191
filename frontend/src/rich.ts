// A textarea with HTML as a rich text: what a mail needs, in plain HTML without styles.
import DOMPurify from "dompurify";
import Squire from "squire-rte";
import { keep } from "./code";
import { leftOut, withoutStyles } from "./pasting";

const BLOCKS = ["P", "DIV", "H1", "H2", "H3", "UL", "OL", "LI", "BLOCKQUOTE"];
const INLINE = ["B", "STRONG", "I", "EM", "U", "S", "DEL", "A", "BR"];
const KNOWN = new Set([...BLOCKS, ...INLINE]);
// A line break at the end of a block, which is there for browsers to put the cursor behind.
const FILLER = /([^>]|<\/(?:b|i|u|s|a|em|strong|del)>)<br>(?=<\/(?:p|div|li|h[1-3]|blockquote)>)/gi;
const ALLOWED = { ALLOWED_TAGS: [...KNOWN], ALLOWED_ATTR: ["href"] };

export type Words = Record<string, string>;

interface Tool {
  name: string;
  sign: string;
  /** The element that the text is in when the tool is on. */
  tag?: string;
  on: (squire: Squire) => void;
  off?: (squire: Squire) => void;
}

const TOOLS: Tool[] = [
  { name: "bold", sign: "B", tag: "B", on: (s) => s.bold(), off: (s) => s.removeBold() },
  { name: "italic", sign: "I", tag: "I", on: (s) => s.italic(), off: (s) => s.removeItalic() },
  {
    name: "underline",
    sign: "U",
    tag: "U",
    on: (s) => s.underline(),
    off: (s) => s.removeUnderline(),
  },
  { name: "heading", sign: "H", tag: "H2", on: (s) => head(s, "H2"), off: (s) => head(s, "P") },
  {
    name: "bullets",
    sign: "•",
    tag: "UL",
    on: (s) => s.makeUnorderedList(),
    off: (s) => s.removeList(),
  },
  {
    name: "numbers",
    sign: "1.",
    tag: "OL",
    on: (s) => s.makeOrderedList(),
    off: (s) => s.removeList(),
  },
  {
    name: "quote",
    sign: "❝",
    tag: "BLOCKQUOTE",
    on: (s) => s.increaseQuoteLevel(),
    off: (s) => s.removeQuote(),
  },
  { name: "plain", sign: "⌫", on: (s) => s.removeAllFormatting() },
  { name: "undo", sign: "↶", on: (s) => s.undo() },
  { name: "redo", sign: "↷", on: (s) => s.redo() },
];

/** Whether nothing of `html` would be lost in the rich text. */
export function isSimple(html: string): boolean {
  if (/<(!doctype|html|head|body|style)\b/i.test(html)) return false;
  if (withoutStyles(html) !== html) return false;
  const { body } = new DOMParser().parseFromString(html, "text/html");
  return [...body.querySelectorAll("*")].every(
    (one) =>
      KNOWN.has(one.tagName) &&
      [...one.attributes].every(({ name }) => one.tagName === "A" && name === "href"),
  );
}

export class RichEditor {
  readonly element = document.createElement("div");
  private readonly root = document.createElement("div");
  private readonly note = document.createElement("p");
  private readonly squire: Squire;
  private readonly buttons = new Map<Tool, HTMLButtonElement>();

  constructor(
    private readonly area: HTMLTextAreaElement,
    label: string,
    private readonly words: Words,
  ) {
    this.element.className = "editor rich";
    this.root.className = "rich-text";
    for (const [name, value] of Object.entries({
      role: "textbox",
      "aria-multiline": "true",
      "aria-label": label,
      dir: "auto",
    })) {
      this.root.setAttribute(name, value);
    }
    this.note.className = "tool-note";
    this.note.setAttribute("role", "status");
    this.element.append(this.toolbar(label), this.root, this.note);
    this.squire = new Squire(this.root, {
      blockTag: "P",
      sanitizeToDOMFragment: (html) =>
        DOMPurify.sanitize(withoutStyles(html), { ...ALLOWED, RETURN_DOM_FRAGMENT: true }),
    });
    this.squire.addEventListener("input", () => this.kept());
    this.squire.addEventListener("willPaste", (event: Event) => {
      const { detail } = event as CustomEvent<{ html?: string }>;
      this.tell(leftOut(detail.html ?? ""));
    });
    this.squire.addEventListener("pasteImage", () => this.tell(["left_pictures"]));
    for (const kind of ["dragover", "drop"]) this.root.addEventListener(kind, (e) => this.file(e));
    this.squire.addEventListener("pathChange", () => this.light());
    this.squire.addEventListener("select", () => this.light());
  }

  /** A file that is dropped would take the page's place. */
  private file(event: Event): void {
    const types = (event as DragEvent).dataTransfer?.types ?? [];
    if (!types.includes("Files") || types.some((one) => one.startsWith("text/"))) return;
    event.preventDefault();
    if (event.type === "drop") this.tell(["left_files"]);
  }

  /** Say what of something pasted is not in the text. */
  private tell(lost: string[]): void {
    const list = new Intl.ListFormat(document.documentElement.lang);
    const { left_out, left_end, left_how } = this.words;
    const what = list.format(lost.map((one) => this.words[one] ?? one));
    const how = lost.includes("left_pictures") ? left_how : "";
    this.note.textContent = lost.length ? [left_out, what, left_end, how].join("") : "";
  }

  private kept(): void {
    // Whatever changes in an editor that is not shown (an extension's doing) is not the mail.
    if (this.element.hidden) return;
    const empty = this.root.textContent?.trim() === "";
    keep(this.area, empty ? "" : this.squire.getHTML().replace(FILLER, "$1"));
    this.light();
  }

  private toolbar(label: string): HTMLElement {
    const bar = document.createElement("div");
    bar.className = "tools";
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", label);
    for (const tool of TOOLS) {
      const button = this.button(tool.name, tool.sign);
      button.addEventListener("click", () => this.press(tool));
      this.buttons.set(tool, button);
      bar.append(button);
    }
    bar.append(this.link());
    return bar;
  }

  private button(name: string, sign: string): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `plain tool tool-${name}`;
    button.textContent = sign;
    button.title = this.words[name] ?? name;
    button.setAttribute("aria-label", button.title);
    return button;
  }

  private press(tool: Tool): void {
    const on = tool.tag !== undefined && this.squire.hasFormat(tool.tag);
    (on && tool.off ? tool.off : tool.on)(this.squire);
    this.squire.focus();
    this.kept();
  }

  /** Show which tools are on at the cursor. */
  private light(): void {
    for (const [tool, button] of this.buttons) {
      if (tool.tag) button.setAttribute("aria-pressed", String(this.squire.hasFormat(tool.tag)));
    }
  }

  /** The address of a link is asked for beside the tools. */
  private link(): HTMLElement {
    const box = document.createElement("span");
    const button = this.button("link", "↗");
    const address = document.createElement("input");
    address.type = "url";
    address.placeholder = "https://";
    address.hidden = true;
    address.setAttribute("aria-label", this.words.link ?? "");
    button.addEventListener("click", () => {
      if (this.squire.hasFormat("A")) {
        this.squire.removeLink();
        this.kept();
        return;
      }
      address.hidden = !address.hidden;
      if (!address.hidden) address.focus();
    });
    address.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      if (event.key === "Enter" && address.value) this.squire.makeLink(linkOf(address.value));
      address.value = "";
      address.hidden = true;
      this.squire.focus();
      this.kept();
    });
    box.className = "tool-box";
    box.append(button, address);
    return box;
  }

  /** Take up what the textarea holds by now. */
  load(): void {
    this.squire.setHTML(this.area.value);
    this.light();
  }

  focus(): void {
    this.squire.focus();
  }
}

function linkOf(text: string): string {
  return /^(https?:|mailto:|\{\{)/i.test(text) ? text : `https://${text}`;
}

/** The blocks at the cursor as elements of another name. */
function head(squire: Squire, tag: string): void {
  squire.modifyBlocks((fragment) => {
    for (const block of [...fragment.children]) {
      if (!/^(P|DIV|H[1-3])$/.test(block.tagName)) continue;
      const made = document.createElement(tag);
      made.append(...block.childNodes);
      block.replaceWith(made);
    }
    return fragment;
  });
}
