// Lines of JSON: one request on stdin has one answer on stdout, and what happens is pushed there as it comes.
//
// stdout is taken away from everybody else before anything is loaded: the SDK and its WebAssembly log to the console,
// and a word of theirs between two lines would break both. They write to stderr, warnings and worse; everything when
// JS_CLIENT_VERBOSE is set.
//
//   -> {"id": 1, "do": "send", "with": {...}}
//   <- {"id": 1, "ok": ...}  or  {"id": 1, "error": {"message": "...", "status": 403, "errcode": "M_FORBIDDEN"}}
//   <- {"push": "event", ...}

import { Console } from "node:console";
import { createInterface } from "node:readline";

const write = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);
globalThis.console = new Console(process.stderr);
if (!process.env.JS_CLIENT_VERBOSE) {
    for (const level of ["trace", "debug", "log", "info"]) console[level] = () => {};
}

/** Write one line. */
export function say(what) {
    write(JSON.stringify(what) + "\n");
}

/** Tell what happened, unasked. */
export function push(kind, fields) {
    say({ push: kind, ...fields });
}

/** Answer requests until stdin ends, then end: whoever started us is gone or has had enough. */
export function serve(operations) {
    const lines = createInterface({ input: process.stdin });
    lines.on("line", (line) => void answer(operations, JSON.parse(line)));
    lines.on("close", () => process.exit(0));
}

async function answer(operations, { id, do: name, with: fields }) {
    try {
        say({ id, ok: (await operations[name](fields)) ?? null });
    } catch (error) {
        console.warn(`${name}:`, error);
        say({ id, error: { message: String(error?.message ?? error), status: error?.httpStatus, errcode: error?.errcode } });
    }
}
