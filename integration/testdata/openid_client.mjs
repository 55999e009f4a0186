// Takes the demo's carbon accountant's place with openid-client, as its
// documentation says for an authorization server without OpenID Connect, and
// with no check switched off. The business agrees outside: the address goes out
// on one line, the redirect comes in on one.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { pathToFileURL } from 'node:url'

const [peers, wanted] = process.argv.slice(2)
const want = JSON.parse(wanted)
const oauth = await import(pathToFileURL(peers + '/node_modules/openid-client/build/index.js'))
const undici = (await import(pathToFileURL(peers + '/node_modules/undici/index.js'))).default

const read = (name) => readFileSync(name, 'utf8')
const dispatcher = new undici.Agent({ connect: { ca: read(want.server_ca), cert: read(want.cert), key: read(want.key) } })
const wire = (url, options) => undici.fetch(url, { ...options, dispatcher })

const say = (what) => console.log(JSON.stringify(what))
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const answered = async () => new URL((await lines.next()).value)
const failsWith = async (code, promise) => {
  try {
    await promise
  } catch (e) {
    if (e.error === code) return
    throw e
  }
  throw new Error('succeeded, where ' + code + ' was due')
}

const config = await oauth.discovery(new URL(want.issuer), want.client_id, { use_mtls_endpoint_aliases: true, tls_client_certificate_bound_access_tokens: true },
  oauth.TlsClientAuth(), { algorithm: 'oauth2', [oauth.customFetch]: wire })
const server = config.serverMetadata()
if (!server.authorization_response_iss_parameter_supported || !server.require_pushed_authorization_requests) throw new Error('metadata')

const start = async () => {
  const pkceCodeVerifier = oauth.randomPKCECodeVerifier()
  const expectedState = oauth.randomState()
  const to = await oauth.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: want.redirect, scope: want.license, state: expectedState,
    code_challenge: await oauth.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  })
  return { to: to.href, checks: { pkceCodeVerifier, expectedState } }
}

// The business declines: the answer is an error of this issuer, for this state.
const no = await start()
say({ decline: no.to })
await failsWith('access_denied', oauth.authorizationCodeGrant(config, await answered(), no.checks))

const yes = await start()
say({ agree: yes.to })
const back = await answered()
const tokens = await oauth.authorizationCodeGrant(config, back, yes.checks)
if (tokens.token_type !== 'bearer' || !(tokens.expiresIn() > 0 && tokens.expiresIn() <= 3600) || tokens.scope !== want.license || !tokens.refresh_token) throw new Error('tokens: ' + JSON.stringify(tokens))

const sources = async (token) => (await oauth.fetchProtectedResource(config, token, new URL('/datasources', want.resource), 'GET')).json()
if (!((await sources(tokens.access_token)).data.length > 0)) throw new Error('no data sources')

const again = await oauth.refreshTokenGrant(config, tokens.refresh_token)
if (again.access_token === tokens.access_token || again.refresh_token !== tokens.refresh_token) throw new Error('refresh')
await sources(again.access_token)

const record = await (await wire(server.ib1_permission_endpoint, { method: 'POST', body: new URLSearchParams({ token: tokens.refresh_token }) })).json()
if (record.permission.client !== want.client_id || record.permission.license !== want.license) throw new Error('record: ' + JSON.stringify(record))

await oauth.tokenRevocation(config, tokens.refresh_token)
await failsWith('invalid_grant', oauth.refreshTokenGrant(config, tokens.refresh_token))
let refused
try {
  await oauth.fetchProtectedResource(config, again.access_token, new URL('/datasources', want.resource), 'GET')
} catch (e) {
  refused = e
}
if (!(refused instanceof oauth.WWWAuthenticateChallengeError) || refused.cause[0].parameters.error !== 'invalid_token') throw refused ?? new Error('served after the revocation')
await failsWith('invalid_grant', oauth.authorizationCodeGrant(config, back, yes.checks))
say({ done: true })
process.exit(0)
