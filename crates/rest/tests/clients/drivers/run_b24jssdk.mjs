// @bitrix24/b24jssdk: webhooks over https only. It exposes the code, the status and the message of an error.

import { createInterface } from 'node:readline'

const sdk = `${process.env.PACKAGES}/node_modules/@bitrix24/b24jssdk/dist/esm/index.mjs`
const { B24Hook, B24OAuth, AjaxError, B24HelperManager } = await import(sdk)
const [, base] = process.argv.slice(2)
const emit = observed => console.log(JSON.stringify(observed))

function connect(auth) {
  if (auth.token === undefined) return B24Hook.fromWebhookUrl(`${base}/rest/${auth.user}/${auth.secret}`)
  const granted = { expires: Date.now() / 1000 + 3600, expires_in: 3600, scope: 'imopenlines', status: 'L' }
  const endpoints = { client_endpoint: `${base}/rest/`, server_endpoint: `${base}/oauth/rest/` }
  const b24 = new B24OAuth(
    {
      domain: new URL(base).host,
      accessToken: auth.token,
      refreshToken: 'none',
      clientEndpoint: endpoints.client_endpoint,
      serverEndpoint: endpoints.server_endpoint,
      expires: granted.expires,
      expiresIn: granted.expires_in,
      memberId: 'none',
      scope: granted.scope,
      status: granted.status
    },
    { clientId: 'none', clientSecret: 'none' }
  )
  // The client refreshes a rejected token once. The driver has no other token.
  b24.setCustomRefreshAuth(async () => ({ access_token: auth.token, refresh_token: 'none', ...granted, ...endpoints }))
  return b24
}

const refusal = error => ({ error: error.code, described: error.message !== '' })

async function batch(b24, { halt, commands }) {
  const rows = commands.map(([, method, params]) => [method, params])
  const response = await b24.actions.v2.batch.make({
    calls: commands[0][0] === null ? rows : Object.fromEntries(commands.map(([id], i) => [id, rows[i]])),
    options: { isHaltOnError: halt, returnAjaxResult: true }
  })
  const observed = { result: {}, result_error: {} }
  for (const [id, result] of Object.entries(response.getData())) {
    if (result.isSuccess) observed.result[id] = result.getData().result
    else observed.result_error[id] = refusal([...result.getErrors()][0])
  }
  return observed
}

async function observe(call) {
  const b24 = connect(call.auth)
  try {
    if (call.commands !== undefined) return await batch(b24, call)
    if (call.method === 'start') {
      const helper = new B24HelperManager(b24)
      await helper.loadData()
      return { result: helper.profileInfo.data.id }
    }
    const response = await b24.actions.v2.call.make({ method: call.method, params: call.params })
    return { result: response.getData().result }
  } catch (error) {
    if (!(error instanceof AjaxError)) throw error
    return { status: error.status, ...refusal(error) }
  }
}

emit({
  refused: ['status', 'error'],
  rejected: ['status', 'error'],
  batch: ['result', 'result_error'],
  batch_refused: ['result', 'result_error'],
  unsupported: ['show the argument']
})
for await (const line of createInterface({ input: process.stdin })) emit(await observe(JSON.parse(line)))
