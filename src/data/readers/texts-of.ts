/** The texts in a value of JSON or a row of Parquet: strings, lists of them, chats, notebooks. */

/** Names under which data sets usually keep their text, in order of preference. */
export const TEXT_FIELDS = ["text", "content", "raw_content", "document", "body", "article", "code"];
/** Names under which they keep chats. */
export const CHAT_FIELDS = ["messages", "conversations", "conversation"];

const MAX_DEPTH = 16;
const MAX_NAMED = 8;

type Texts = { texts: string[] } | { problem: string };

/**
 * The texts of a value. `fields` are keys or dotted paths; the first that leads to text counts, and a path through a
 * list leads to all of its items. Undefined stands for the usual names, and for chats and notebooks.
 */
export function textsOf(value: unknown, fields: readonly string[] | undefined): Texts {
  if (typeof value === "string") return { texts: [value] };
  if (Array.isArray(value)) {
    const texts = fields === undefined ? asTexts(value, 0) : undefined;
    if (texts !== undefined) return { texts };
    const inner = value.map((item: unknown) =>
      isObject(item) ? textsOf(item, fields) : { texts: asTexts(item, 1) ?? [] },
    );
    const wrong = inner.find((each) => "problem" in each);
    return wrong ?? { texts: inner.flatMap((each) => ("texts" in each ? each.texts : [])) };
  }
  if (!isObject(value)) return { problem: "it is neither an object nor a text" };
  for (const field of fields ?? [...TEXT_FIELDS, ...CHAT_FIELDS]) {
    const texts = asTexts(at(value, field), 0);
    if (texts !== undefined) return { texts };
  }
  const cells = notebookCells(value);
  if (cells !== undefined) return { texts: [cells] };
  return { problem: `it has no text under ${expectedNames(fields)}; it has ${named(value)}` };
}

/** The names that were looked for, in words. */
export function expectedNames(fields: readonly string[] | undefined): string {
  return fields === undefined ? `${TEXT_FIELDS[0]} or another usual name` : fields.join(", ");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a key or, where there is no such key, at a dotted path; through lists, a list. */
function at(value: unknown, path: string): unknown {
  if (Array.isArray(value)) return value.map((item) => at(item, path));
  if (!isObject(value)) return undefined;
  if (Object.hasOwn(value, path)) return value[path];
  for (let dot = path.indexOf("."); dot !== -1; dot = path.indexOf(".", dot + 1)) {
    const key = path.slice(0, dot);
    if (Object.hasOwn(value, key)) return at(value[key], path.slice(dot + 1));
  }
  return undefined;
}

/** A text, the texts of a list, or the text of a chat; undefined when it is something else. */
function asTexts(value: unknown, depth: number): string[] | undefined {
  if (typeof value === "string") return [value];
  if (!Array.isArray(value) || depth > MAX_DEPTH) return undefined;
  const chat = chatText(value);
  if (chat !== undefined) return [chat];
  const lists = value
    .filter((item) => item !== null && item !== undefined)
    .map((item) => asTexts(item, depth + 1));
  return lists.every((list) => list !== undefined) ? lists.flat() : undefined;
}

const ROLES: Record<string, string> = {
  human: "user",
  gpt: "assistant",
  bot: "assistant",
  chatbot: "assistant",
};

/** Whether a value is a message of a chat. */
export function isMessage(value: unknown): boolean {
  return chatText([value]) !== undefined;
}

/** A chat as plain text: `user: …`, a blank line, `assistant: …`. Undefined when the list is no chat. */
function chatText(messages: readonly unknown[]): string | undefined {
  const turns: string[] = [];
  for (const message of messages) {
    if (!isObject(message)) return undefined;
    const role = message["role"] ?? message["from"];
    if (typeof role !== "string") return undefined;
    const content = contentText(message["content"] ?? message["value"] ?? null);
    // A call of a tool has no words.
    if (content !== undefined && content.trim() !== "")
      turns.push(`${ROLES[role.toLowerCase()] ?? role.toLowerCase()}: ${content.trim()}`);
  }
  return messages.length === 0 ? undefined : turns.join("\n\n");
}

/** The words of a message: a text, or the texts among its parts, of which some may be pictures. */
function contentText(content: unknown): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  const parts = content.map((part: unknown) => (isObject(part) ? part["text"] : part));
  return parts.filter((part) => typeof part === "string").join("\n");
}

/** The sources of a notebook's cells, of its third and fourth format. */
function notebookCells(value: Record<string, unknown>): string | undefined {
  if (typeof value["nbformat"] !== "number") return undefined;
  const cells = at(value, "cells") ?? [at(value, "worksheets.cells")].flat(2);
  if (!Array.isArray(cells)) return undefined;
  return cells
    .map((cell: unknown) => (isObject(cell) ? (cell["source"] ?? cell["input"]) : undefined))
    .map((source) => (Array.isArray(source) ? source.join("") : source))
    .filter((source): source is string => typeof source === "string" && source.trim() !== "")
    .join("\n\n");
}

function named(value: Record<string, unknown>): string {
  const keys = Object.keys(value);
  if (keys.length === 0) return "no fields";
  const shown = keys.slice(0, MAX_NAMED).map((key) => key.slice(0, 40));
  return `${shown.join(", ")}${keys.length > MAX_NAMED ? ", …" : ""} (name one with textField)`;
}
