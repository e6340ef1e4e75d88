// JSON with line breaks. It is never parsed into values and written again: numbers and the order of members
// stay as they were sent.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

/** The same text with line breaks and indents; a text that is no JSON as it is. */
export function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  const tokens = text.match(TOKEN) ?? [];
  const out = [];
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, index) => {
    if (token === "{" || token === "[") {
      const isEmpty = "}]".includes(tokens[index + 1]);
      depth += 1;
      out.push(token, isEmpty ? "" : line());
    } else if (token === "}" || token === "]") {
      depth -= 1;
      out.push("{[".includes(tokens[index - 1]) ? "" : line(), token);
    } else if (token === ",") out.push(token, line());
    else out.push(token === ":" ? ": " : token);
  });
  return out.join("");
}
