// A textarea as an editor of code. The textarea stays: it is what the form sends.
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import {
  bracketMatching,
  HighlightStyle,
  StreamLanguage,
  syntaxHighlighting,
} from "@codemirror/language";
import { html } from "@codemirror/legacy-modes/mode/xml";
import { EditorState } from "@codemirror/state";
import { EditorView, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const LANGUAGES = { html: () => StreamLanguage.define(html), json: () => json() };
export type Language = keyof typeof LANGUAGES;

const theme = EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "var(--surface)", fontSize: "var(--small)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--code-font)", lineHeight: "1.5", maxHeight: "70vh" },
  ".cm-content": { caretColor: "var(--ink)", minHeight: "8rem" },
  ".cm-gutters": {
    color: "var(--ink-soft)",
    backgroundColor: "var(--sunken)",
    borderRight: "1px solid var(--line)",
  },
  ".cm-selectionBackground, ::selection": { backgroundColor: "var(--accent-wash)" },
});

const colours = HighlightStyle.define([
  { tag: [tags.tagName, tags.keyword, tags.propertyName], color: "var(--accent)" },
  { tag: [tags.attributeName, tags.number, tags.bool, tags.null], color: "var(--warning)" },
  { tag: [tags.attributeValue, tags.string], color: "var(--good)" },
  { tag: tags.comment, color: "var(--ink-soft)", fontStyle: "italic" },
]);

export class CodeEditor {
  readonly element = document.createElement("div");
  private readonly view: EditorView;

  constructor(
    private readonly area: HTMLTextAreaElement,
    language: Language,
    label: string,
  ) {
    this.element.className = "editor";
    // In a shadow tree the editor's styles are adopted sheets, which our policy allows.
    const root = this.element.attachShadow({ mode: "open" });
    this.view = new EditorView({ state: this.state(language, label), parent: root, root });
  }

  private state(language: Language, label: string): EditorState {
    return EditorState.create({
      doc: this.area.value,
      extensions: [
        lineNumbers(),
        history(),
        bracketMatching(),
        highlightSpecialChars(),
        syntaxHighlighting(colours),
        keymap.of([...defaultKeymap, ...historyKeymap]),
        LANGUAGES[language](),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": label }),
        EditorState.readOnly.of(this.area.readOnly),
        theme,
        EditorView.updateListener.of((update) => {
          if (update.docChanged) keep(this.area, update.state.doc.toString());
        }),
      ],
    });
  }

  /** Take up what the textarea holds by now. */
  load(): void {
    const { doc } = this.view.state;
    if (doc.toString() === this.area.value) return;
    this.view.dispatch({ changes: { from: 0, to: doc.length, insert: this.area.value } });
  }

  focus(): void {
    this.view.focus();
  }
}

/** Put `text` into the textarea as if it were typed there. */
export function keep(area: HTMLTextAreaElement, text: string): void {
  if (area.value === text) return;
  area.value = text;
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

/** The words of the textarea's label. */
export function labelOf(area: HTMLTextAreaElement): string {
  return area.labels?.[0]?.textContent?.trim() ?? "";
}

export function editCode(area: HTMLTextAreaElement, language: Language): void {
  const editor = new CodeEditor(area, language, labelOf(area));
  area.after(editor.element);
  area.hidden = true;
  area.labels?.[0]?.addEventListener("click", () => editor.focus());
}
