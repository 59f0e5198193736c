// An identity provider for tests: oidc-provider, with keys that are new at each start.
//
//   node provider.mjs --port PORT --redirect URI [--claims-in-token]
//
// Anybody signs in with a name and any password. A line of JSON on the standard input sets the groups of people, or how it lies from then on in
// its ID tokens:
//   {"groups": {"carol": ["staff"]}}
//   {"claims": {"aud": "other"}}   {"sign": "none"}   {"sign": "other"}   {}
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { SignJWT, UnsecuredJWT, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string' },
    redirect: { type: 'string' },
    'claims-in-token': { type: 'boolean', default: false },
  },
});

const keys = await generateKeyPair('RS256', { extractable: true });
const others = await generateKeyPair('RS256', { extractable: true });
const kid = `key-${Date.now()}`;
const jwk = { ...(await exportJWK(keys.privateKey)), kid, use: 'sig', alg: 'RS256' };

let groups = {};
const account = (name) => ({
  accountId: name,
  claims: () => ({ sub: name, preferred_username: name, groups: groups[name] }),
});

const provider = new Provider(`http://127.0.0.1:${options.port}`, {
  clients: [
    {
      client_id: 'buoy',
      client_secret: 'a secret: with +signs& 100%',
      redirect_uris: [options.redirect],
    },
  ],
  jwks: { keys: [jwk] },
  cookies: { keys: ['for tests'] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
  conformIdTokenClaims: !options['claims-in-token'],
  pkce: { required: () => true },
  findAccount: (_, id) => account(id),
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
});

let lie = {};
createInterface({ input: process.stdin }).on('line', (line) => {
  const told = JSON.parse(line);
  if (told.groups) groups = told.groups;
  else lie = told;
  console.log('set');
});

const changed = async (token) => {
  const claims = { ...decodeJwt(token), ...lie.claims };
  if (lie.sign === 'none') return new UnsecuredJWT(claims).encode();
  const key = lie.sign === 'other' ? others.privateKey : keys.privateKey;
  return new SignJWT(claims).setProtectedHeader(decodeProtectedHeader(token)).sign(key);
};

provider.use(async (ctx, next) => {
  await next();
  if (ctx.path === '/token' && ctx.body?.id_token) ctx.body.id_token = await changed(ctx.body.id_token);
});

provider.listen(Number(options.port), '127.0.0.1', () => console.log('ready'));
