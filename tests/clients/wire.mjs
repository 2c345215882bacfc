// Lines of JSON: one request on stdin has one answer on stdout, and what happens is pushed there as it comes.
//
// stdout is taken away from everybody else before anything is loaded: the SDK and its WebAssembly log to the console,
// and a word of theirs between two lines would break both. They write to stderr, warnings and worse; everything when
// JS_CLIENT_VERBOSE is set.
//
//   -> {"id": 1, "who": 1, "do": "send", "with": {...}}      who: a number of the client; a new one makes a client
//   <- {"id": 1, "ok": ...}  or  {"id": 1, "error": {"message": "...", "status": 403, "errcode": "M_FORBIDDEN"}}
//   <- {"push": "event", "who": 1, ...}

import { Console } from "node:console";
import { createInterface } from "node:readline";

const write = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);
globalThis.console = new Console(process.stderr);
if (!process.env.JS_CLIENT_VERBOSE) {
    for (const level of ["trace", "debug", "log", "info"]) console[level] = () => {};
}

/** Write one line. */
function say(what) {
    write(JSON.stringify(what) + "\n");
}

/** Answer requests until stdin ends, then end: whoever started us is gone or has had enough. */
export function serve(newClient) {
    const lines = createInterface({ input: process.stdin });
    const clients = new Map();
    const known = (who) => {
        const push = (kind, fields) => say({ push: kind, who, ...fields });
        if (!clients.has(who)) clients.set(who, newClient(push));
        return clients.get(who);
    };
    lines.on("line", (line) => {
        const asked = JSON.parse(line);
        void answer(known(asked.who), asked);
    });
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
