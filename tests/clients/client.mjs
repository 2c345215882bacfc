// Matrix clients, each on one device: matrix-js-sdk with its Rust cryptography, driven by lines of JSON (wire.mjs).
//
// Rules: everything is in memory and gone when the process ends; a message is sent only when the SDK knows the members
// and the encryption that the server names, because it would send in clear into a room that it has not heard of yet.
// Left to others: what needs no keys (rooms, members, power), which the Python side asks of the server itself.

import { serve } from "./wire.mjs";
import { sdk, cryptoApi } from "./sdk.mjs";
import { open, seal } from "./attachments.mjs";
import * as events from "./events.mjs";
import * as sas from "./sas.mjs";
import { when } from "./waiting.mjs";

const quiet = { trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error, getChild: () => quiet };

/** What one client can be asked to do; it tells what happens with `push`. */
function newClient(push) {
    let client;
    let crypto;
    let secretStorageKey; // what a person would have written down

    const operations = {
        async start({ url, user, device, token, isolation }) {
            client = sdk.createClient({
                baseUrl: url, userId: user, deviceId: device, accessToken: token, logger: quiet,
                store: new sdk.MemoryStore(),
                cryptoCallbacks: {
                    getSecretStorageKey: async ({ keys }) => secretStorageKey && [Object.keys(keys)[0], secretStorageKey],
                    cacheSecretStorageKey: (_id, _info, key) => (secretStorageKey = key),
                },
            });
            await client.initRustCrypto({ useIndexedDB: false });
            crypto = client.getCrypto();
            isolate(isolation);
            events.follow(client, crypto, push);
            Object.assign(operations, sas.operations(client, crypto, caughtUp, push));
            await client.startClient({ initialSyncLimit: 100 });
            await when(client, [sdk.ClientEvent.Sync], () => client.isInitialSyncComplete(), "the first sync");
            await when(client, ["published"], published, "the device's keys to be published");
            return { crypto: crypto.getVersion() };
        },

        /** Make cross-signing keys, sign this device, and lay the keys into secret storage; the recovery key. */
        async sign({ password }) {
            const identifier = { type: "m.id.user", user: client.getUserId() };
            const authUploadDeviceSigningKeys = (request) => request({ type: "m.login.password", identifier, password });
            await crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys });
            const key = await crypto.createRecoveryKeyFromPassphrase();
            await crypto.bootstrapSecretStorage({ setupNewSecretStorage: true, createSecretStorageKey: async () => key });
            return key.encodedPrivateKey;
        },

        /** Sign this device with the keys that another device laid into secret storage. */
        async signWith({ recoveryKey }) {
            secretStorageKey = cryptoApi.decodeRecoveryKey(recoveryKey);
            await crypto.userHasCrossSigningKeys(); // asks the server for the public parts, without which nothing is imported
            await crypto.bootstrapCrossSigning({});
        },

        stop: () => client?.stopClient(),

        isolation: ({ mode }) => isolate(mode),
        forget: ({ room }) => crypto.forceDiscardSession(room),

        async send({ room, type, content }) {
            await caughtUp(room);
            return (await client.sendEvent(room, type, content)).event_id;
        },

        async sendFile({ room, data, content }) {
            const { ciphertext, file } = await seal(Buffer.from(data, "base64"));
            const upload = { type: "application/octet-stream", includeFilename: false };
            const { content_uri: url } = await client.uploadContent(new Blob([ciphertext]), upload);
            return operations.send({ room, type: "m.room.message", content: { ...content, file: { ...file, url } } });
        },

        async download({ file }) {
            const url = client.mxcUrlToHttp(file.url, undefined, undefined, undefined, false, true, true);
            const answer = await fetch(url, { headers: { Authorization: `Bearer ${client.getAccessToken()}` } });
            if (!answer.ok) throw Object.assign(new Error(`the file was refused`), { httpStatus: answer.status });
            return Buffer.from(await open(await answer.arrayBuffer(), file)).toString("base64");
        },

        async devices({ user }) {
            const known = (await crypto.getUserDeviceInfo([user], true)).get(user) ?? new Map();
            return Promise.all([...known.values()].map(async (device) => {
                const status = await crypto.getDeviceVerificationStatus(user, device.deviceId);
                return {
                    id: device.deviceId,
                    name: device.displayName ?? "",
                    keys: Object.fromEntries(device.keys),
                    signed: status?.signedByOwner ?? false,
                    verified: status?.crossSigningVerified ?? false,
                };
            }));
        },

        async trust({ user }) {
            const status = await crypto.getUserVerificationStatus(user);
            return {
                known: await crypto.userHasCrossSigningKeys(user, true),
                verified: status.isCrossSigningVerified(),
                was_verified: status.wasCrossSigningVerified(),
                changed: status.needsUserApproval,
            };
        },
    };

    /** Whom this client gives keys to, and whose messages it opens. */
    function isolate(mode) {
        // "verified" is the old setting of a person who trusts only what they have verified themselves.
        crypto.globalBlacklistUnverifiedDevices = mode === "verified";
        crypto.setDeviceIsolationMode(
            mode === "signed"
                ? new cryptoApi.OnlySignedDevicesIsolationMode()
                : new cryptoApi.AllDevicesIsolationMode(false),
        );
    }

    /** Whether the server gives this device's keys to others. The SDK uploads them after a sync and tells nobody. */
    async function published() {
        const [user, device] = [client.getUserId(), client.getDeviceId()];
        const there = (await client.downloadKeysForUsers([user])).device_keys?.[user]?.[device];
        if (!there) setTimeout(() => client.emit("published"), 100);
        return Boolean(there);
    }

    async function caughtUp(room) {
        const [members, encrypted] = await Promise.all([joined(room), isEncrypted(room)]);
        const knows = async () => {
            const known = client.getRoom(room)?.getJoinedMembers().map((member) => member.userId).sort();
            return known?.join() === members.join() && (!encrypted || (await crypto.isEncryptionEnabledInRoom(room)));
        };
        await when(client, [sdk.ClientEvent.Sync], knows, `the client to know that ${members} are in ${room}`);
    }

    async function joined(room) {
        return Object.keys((await client.getJoinedRoomMembers(room)).joined).sort();
    }

    async function isEncrypted(room) {
        try {
            return Boolean(await client.getStateEvent(room, "m.room.encryption", ""));
        } catch (error) {
            if (error.errcode === "M_NOT_FOUND") return false;
            throw error;
        }
    }

    return operations;
}

process.on("unhandledRejection", (error) => console.warn("unhandled:", error));
serve(newClient);
