// What is pasted comes with more than a mail's rich text keeps: its styles go before it is parsed,
// and what else is left out can be told.

const TAG = /<[a-z](?:"[^"]*"|'[^']*'|[^'">])*>/gi;
const ATTRIBUTE = /([^\s"'<>/=]+)(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?/g;
const SHEET = /<style\b[^]*?(?:<\/style\s*>|$)/gi;
const LOST = {
  left_pictures: "img, svg, picture, canvas",
  left_tables: "table",
  left_media: "video, audio, iframe, object, embed, form, input, select",
};

/** `html` without styles. A parser, even of an inert document, obeys the page's
 * Content-Security-Policy and complains of each of them, so it must not see any. */
export function withoutStyles(html: string): string {
  return html.replace(SHEET, "").replace(TAG, (tag) =>
    tag.replace(ATTRIBUTE, (whole: string, name: string) =>
      name.toLowerCase() === "style" ? "" : whole,
    ),
  );
}

/** The names of the words for what of `html` a rich text does not keep. */
export function leftOut(html: string): string[] {
  const plain = withoutStyles(html);
  const { body } = new DOMParser().parseFromString(plain, "text/html");
  const lost = Object.entries(LOST).filter(([, kind]) => body.querySelector(kind));
  return [...lost.map(([name]) => name), ...(plain === html ? [] : ["left_styles"])];
}
