// What every script is told by the test, and how it answers: a JSON object a line.
export const world = JSON.parse(process.env.WEIR_PEER);
export const [, , verb, text] = process.argv;
export const args = JSON.parse(text ?? "{}");

export function say(o) {
  process.stdout.write(JSON.stringify(o, (_, v) => (typeof v === "bigint" ? Number(v) : v)) + "\n");
}

// run does a verb, and says which error it ended with, if any.
export async function run(verbs) {
  const watch = setTimeout(() => {
    say({ error: { name: "Timeout", message: `${verb} took more than ${world.patience} ms` } });
    process.exit(1);
  }, world.patience);
  try {
    await verbs[verb](args);
    say({ done: true });
  } catch (e) {
    say({ error: { name: e.name, code: e.code, message: e.message } });
  }
  clearTimeout(watch);
  process.exit(0); // clients keep timers of theirs
}

// until polls a condition that other processes or callbacks bring about.
export async function until(condition) {
  while (!condition()) await new Promise((r) => setTimeout(r, 5));
}

// body is what is sent: text, or bytes given in base64.
export function body(e) {
  return e.base64 !== undefined ? Buffer.from(e.base64, "base64") : e.text;
}
