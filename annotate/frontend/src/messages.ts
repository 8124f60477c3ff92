// Words arrive translated with the page; the English text is the key.
let words: Record<string, string> = {};

export function learn(translations: Record<string, string>): void {
  words = translations;
}

export function t(text: string, values: Record<string, string | number> = {}): string {
  return (words[text] || text).replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}
