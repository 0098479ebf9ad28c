import { parseEnv } from '@frontrow/shared/env.ts';
import { Metrics } from '@frontrow/shared/http/metrics.ts';
import { createOpsServer } from '@frontrow/shared/http/ops.ts';
import { HttpServer } from '@frontrow/shared/http/server.ts';
import { runProcess } from '@frontrow/shared/lifecycle.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { apiDocument, sandboxRoutes } from './api.ts';
import { Ledger } from './charge/ledger.ts';
import { Provider } from './charge/provider.ts';
import { envSchema } from './env.ts';
import { WebhookSender } from './webhook/webhook.ts';

const processName = process.env.PROCESS_NAME || 'sandbox';
const log = createLogger(processName, 'info');

runProcess(log, async () => {
  const env = parseEnv(envSchema);
  log.level = env.LOG_LEVEL;
  const shared = { log, metrics: new Metrics(processName), serviceTokenSecret: env.SERVICE_TOKEN_SECRET };
  const ledger = await Ledger.open(env.SANDBOX_LEDGER_FILE);
  const sender = new WebhookSender({ url: env.SANDBOX_WEBHOOK_URL, secret: env.SANDBOX_WEBHOOK_SECRET, log });
  const provider = new Provider({ ledger, send: (event) => sender.send(event) });

  const server = new HttpServer({
    ...shared,
    routes: sandboxRoutes({ provider, apiKey: env.SANDBOX_API_KEY, mayClear: env.NODE_ENV !== 'production' }),
  });
  const ops = createOpsServer({ ...shared, openApi: apiDocument(), dependencies: { ledger: () => ledger.settled() } });
  await server.listen(env.HOST, env.PORT);
  await ops.listen(env.HOST, env.OPS_PORT);
  log.info({ port: env.PORT, opsPort: env.OPS_PORT }, 'listening');

  return async () => {
    provider.stop();
    sender.stop();
    await server.drain(10_000);
    await ops.drain(1_000);
    await ledger.close();
  };
});
