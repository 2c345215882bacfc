// An OpenID provider that is not ours (oidc-provider, certified), on loopback, for the tests.
//
// Arguments: the folder with node_modules, and the settings as JSON: { clients, deviceSeconds }. It writes its address
// to stdout, behind "> "; what else stands there is the provider's. A line "rotate" on stdin gives it other keys,
// "> done" answers; it ends with stdin.
// Everybody can log in: the name that is typed is the subject, and name, address and phone are made of it.

import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [modules, text] = process.argv.slice(2);
const settings = JSON.parse(text);
const require = createRequire(pathToFileURL(`${modules}/`));
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

// What the provider keeps, beyond a change of its keys.
const kept = new Map();

class Adapter {
  constructor(name) { this.name = name; }

  key(id) { return `${this.name}:${id}`; }

  async upsert(id, payload) { kept.set(this.key(id), payload); }

  async find(id) { return kept.get(this.key(id)); }

  async findBy(name, value) {
    return [...kept].find(([key, each]) => key.startsWith(`${this.name}:`) && each[name] === value)?.[1];
  }

  async findByUid(uid) { return this.findBy('uid', uid); }

  async findByUserCode(code) { return this.findBy('userCode', code); }

  async consume(id) { kept.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }

  async destroy(id) { kept.delete(this.key(id)); }

  async revokeByGrantId(grant) {
    [...kept].filter(([, each]) => each.grantId === grant).forEach(([key]) => kept.delete(key));
  }
}

function keys(generation) {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  return [
    { ...rsa, kid: `rsa-${generation}`, use: 'sig', alg: 'RS256' },
    { ...ec, kid: `ec-${generation}`, use: 'sig', alg: 'ES256' },
  ];
}

function account(_ctx, sub) {
  const claims = {
    sub, name: `${sub} Example`, email: `${sub}@example.org`, email_verified: true, phone_number: '+4912345',
  };
  return { accountId: sub, claims: () => claims };
}

function provider(url, generation) {
  return new Provider(url, {
    adapter: Adapter,
    clients: settings.clients,
    findAccount: account,
    jwks: { keys: keys(generation) },
    cookies: { keys: ['for the tests'] },
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], phone: ['phone_number'] },
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256'] },
    ttl: {
      AccessToken: 600, AuthorizationCode: 60, DeviceCode: settings.deviceSeconds, Grant: 600, IdToken: 600,
      Interaction: 600, Session: 600,
    },
  }).callback();
}

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  let generation = 1;
  let handle = provider(url, generation);
  server.on('request', (request, response) => handle(request, response));
  const lines = createInterface({ input: process.stdin });
  lines.on('line', () => {
    generation += 1;
    handle = provider(url, generation);
    process.stdout.write('> done\n');
  });
  lines.on('close', () => process.exit(0));
  process.stdout.write(`> ${url}\n`);
});
