// Encrypted attachments, which the SDK leaves to the application.
//
// Specification: Matrix client-server API v1.19, "Sending encrypted attachments", version "v2" of an EncryptedFile:
// AES-CTR with 256 bits of key, 64 bits of nonce and a counter of 64 bits that starts at zero.

const { subtle } = globalThis.crypto;
const AES = { name: "AES-CTR", length: 64 };

const unpadded = (bytes) => Buffer.from(bytes).toString("base64").replace(/=+$/, "");

/** Encrypt `bytes`; the ciphertext, and the EncryptedFile that opens it once `url` is added. */
export async function seal(bytes) {
    const key = await subtle.generateKey({ name: "AES-CTR", length: 256 }, true, ["encrypt", "decrypt"]);
    const counter = new Uint8Array(16);
    globalThis.crypto.getRandomValues(counter.subarray(0, 8));
    const ciphertext = await subtle.encrypt({ ...AES, counter }, key, bytes);
    const { k } = await subtle.exportKey("jwk", key);
    const file = {
        v: "v2",
        key: { kty: "oct", key_ops: ["encrypt", "decrypt"], alg: "A256CTR", k, ext: true },
        iv: unpadded(counter),
        hashes: { sha256: unpadded(await subtle.digest("SHA-256", ciphertext)) },
    };
    return { ciphertext, file };
}

/** Open what `file` describes. Throws when it is not what the sender sealed. */
export async function open(ciphertext, file) {
    const hash = unpadded(await subtle.digest("SHA-256", ciphertext));
    if (hash !== file.hashes.sha256) throw new Error(`the file's hash is ${hash}, not ${file.hashes.sha256}`);
    const key = await subtle.importKey("jwk", file.key, "AES-CTR", false, ["decrypt"]);
    return subtle.decrypt({ ...AES, counter: Buffer.from(file.iv, "base64") }, key, ciphertext);
}
