// What the client sees, pushed in the order of the server: in clear if it could be opened, else with the reason why not.
//
// An event that could not be opened at first is pushed again when it can be, or when the reason is known better.
// Own events come as the server gives them back; the SDK's local echoes are not told.

import { sdk, cryptoApi } from "./sdk.mjs";

/** Push everything from now on. */
export function follow(client, crypto, push) {
    const told = new Map(); // event id -> what was told of it: state comes twice, and openings are tried again
    const inTimeline = new Set();
    let turn = Promise.resolve();

    async function tell(event, kind) {
        await client.decryptEventIfNeeded(event);
        const said = { kind, room: event.getRoomId(), ...(await describe(event, crypto)), ...rings(client, event) };
        const id = event.getId();
        const key = said.failure;
        if (id && told.get(id) === key) return;
        if (id) told.set(id, key);
        push("event", said);
    }
    const tellInTurn = (event, kind) => {
        turn = turn.then(() => tell(event, kind)).catch((error) => console.warn("could not tell", error));
    };

    client.on(sdk.RoomEvent.Timeline, (event) => inTimeline.add(event.getId()));
    client.on(sdk.ClientEvent.Event, (event) => {
        if (event.getRoomId()) tellInTurn(event, kindOf(client, event, inTimeline));
    });
    client.on(sdk.MatrixEventEvent.Decrypted, (event) => {
        if (told.has(event.getId())) tellInTurn(event, "timeline");
    });
    client.on(cryptoApi.CryptoEvent.DevicesUpdated, (users) => push("devices", { users }));
    client.on(cryptoApi.CryptoEvent.UserTrustStatusChanged, (user) => push("devices", { users: [user] }));
}

function kindOf(client, event, inTimeline) {
    if (event.getId() && inTimeline.has(event.getId())) return "timeline"; // of before we came in, perhaps
    const membership = client.getRoom(event.getRoomId())?.getMyMembership();
    if (membership === "invite" || membership === "knock") return membership;
    return event.isState() ? "state" : "timeline";
}

/** Whether the client notifies of the event, and whether it highlights it, by the push rules of the account. */
function rings(client, event) {
    const actions = client.getPushActionsForEvent(event, true);
    return { notified: actions?.notify ?? false, highlighted: actions?.tweaks?.highlight ?? false };
}

async function describe(event, crypto) {
    const encrypted = event.isEncrypted();
    const failure = event.decryptionFailureReason ?? "";
    const info = encrypted && !failure ? await crypto.getEncryptionInfoForEvent(event) : null;
    const clear = failure
        ? { type: event.getWireType(), content: event.getWireContent() }
        : { type: event.getType(), content: event.getOriginalContent() };
    return {
        event: { ...event.event, ...clear },
        encrypted,
        failure,
        shield: info ? cryptoApi.EventShieldColour[info.shieldColour].toLowerCase() : "",
        reason: info?.shieldReason == null ? "" : cryptoApi.EventShieldReason[info.shieldReason],
    };
}
