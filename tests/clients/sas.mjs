// Verification by emoji, requested by either side, in a room or from device to device.
//
// A flow is known to the other end of the wire by a number of ours; every change of its phase is pushed.

import { cryptoApi } from "./sdk.mjs";
import { when } from "./waiting.mjs";

const { CryptoEvent, VerificationPhase, VerificationRequestEvent, VerifierEvent } = cryptoApi;

/** Push the requests of others from now on. The operations each take the number of a flow, but for `verify`, which makes one. */
export function operations(client, crypto, caughtUp, push) {
    const flows = [];
    client.on(CryptoEvent.VerificationRequestReceived, track);

    function track(request) {
        const flow = flows.push({ request, done: undefined }) - 1;
        const tell = () => push("verification", { flow, ...describe(request) });
        request.on(VerificationRequestEvent.Change, tell);
        tell();
        return flow;
    }

    /** Wait for a phase, or a later one. */
    function reached(flow, phase) {
        const { request } = flows[flow];
        return when(request, [VerificationRequestEvent.Change], () => alive(request) && request.phase >= phase, `phase ${VerificationPhase[phase]}`);
    }

    async function callbacks(flow) {
        const known = flows[flow];
        await reached(flow, VerificationPhase.Started);
        const { request, request: { verifier } } = known;
        known.done ??= verifier.verify();
        known.done.catch(() => {}); // told by the phase, and to whoever confirms
        const ready = () => alive(request) && verifier.getShowSasCallbacks();
        return when(verifier, [VerifierEvent.ShowSas, VerifierEvent.Cancel], ready, "the emoji");
    }

    return {
        async verify({ user, room, device }) {
            // Whom the SDK has not looked up yet it cannot ask.
            if (room) await caughtUp(room);
            const looked = [CryptoEvent.DevicesUpdated, CryptoEvent.UserTrustStatusChanged];
            await when(client, looked, () => knows(crypto, user, device), `the keys of ${user}`);
            if (room) return track(await crypto.requestVerificationDM(user, room));
            if (device) return track(await crypto.requestDeviceVerification(user, device));
            return track(await crypto.requestOwnUserVerification());
        },
        accept: ({ flow }) => flows[flow].request.accept(),
        async begin({ flow }) {
            await reached(flow, VerificationPhase.Ready);
            await flows[flow].request.startVerification("m.sas.v1");
        },
        emoji: async ({ flow }) => (await callbacks(flow)).sas,
        async confirm({ flow }) {
            await (await callbacks(flow)).confirm();
            await flows[flow].done;
            await reached(flow, VerificationPhase.Done);
        },
        mismatch: async ({ flow }) => void (await callbacks(flow)).mismatch(),
        cancel: ({ flow }) => flows[flow].request.cancel(),
    };
}

async function knows(crypto, user, device) {
    const devices = (await crypto.getUserDeviceInfo([user], true)).get(user);
    return (await crypto.userHasCrossSigningKeys(user, true)) && (!device || devices?.has(device));
}

function describe(request) {
    return {
        phase: VerificationPhase[request.phase],
        user: request.otherUserId,
        device: request.otherDeviceId ?? null,
        room: request.roomId ?? null,
        mine: request.initiatedByMe,
        code: request.cancellationCode ?? null,
    };
}

function alive(request) {
    if (request.phase === VerificationPhase.Cancelled) throw new Error(`cancelled: ${request.cancellationCode}`);
    return true;
}
