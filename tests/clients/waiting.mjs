// Waiting on a condition that an emitter's events may make true, with a deadline.

const WITHIN_MS = 100_000;

/** What `look` finds (it may be async), now or after one of `events`. Throws what it throws, or that it took too long. */
export function when(emitter, events, look, what) {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => end(reject, new Error(`waited ${WITHIN_MS} ms for ${what}`)), WITHIN_MS);
        const again = () => Promise.resolve().then(look).then((found) => found && end(resolve, found)).catch((error) => end(reject, error));
        function end(how, value) {
            clearTimeout(timer);
            for (const event of events) emitter.off(event, again);
            how(value);
        }
        for (const event of events) emitter.on(event, again);
        again();
    });
}
