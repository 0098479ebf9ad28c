import { parseEnv } from '@frontrow/shared/env.ts';
import { createTokenVerifier } from '@frontrow/shared/http/auth.ts';
import { Metrics } from '@frontrow/shared/http/metrics.ts';
import { createOpsServer } from '@frontrow/shared/http/ops.ts';
import { HttpServer } from '@frontrow/shared/http/server.ts';
import { runProcess } from '@frontrow/shared/lifecycle.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { openDatabase } from '@frontrow/shared/mysql/pool.ts';
import { createAccountRepo } from './account/account.repo.ts';
import { createPasswords } from './account/password.ts';
import { apiDocument, userRoutes } from './api.ts';
import { envSchema } from './env.ts';
import { readSigningKey } from './session/signing-key.ts';

const processName = process.env.PROCESS_NAME || 'user';
const log = createLogger(processName, 'info');

runProcess(log, async () => {
  const env = parseEnv(envSchema);
  log.level = env.LOG_LEVEL;
  const metrics = new Metrics(processName);
  const signingKey = readSigningKey(env.JWT_PRIVATE_KEY_FILE, env.JWKS_FILE);
  const database = openDatabase(env.USERS_MYSQL_URL);
  const passwords = await createPasswords(env.BCRYPT_COST);
  const shared = { log, metrics, serviceTokenSecret: env.SERVICE_TOKEN_SECRET };

  const server = new HttpServer({
    ...shared,
    routes: userRoutes({ accounts: createAccountRepo(database), passwords, signingKey }),
    verifyToken: createTokenVerifier(env.JWKS_FILE),
  });
  const ops = createOpsServer({ ...shared, openApi: apiDocument(), dependencies: { mysql: database.ping } });
  await server.listen(env.HOST, env.PORT);
  await ops.listen(env.HOST, env.OPS_PORT);
  log.info({ port: env.PORT, opsPort: env.OPS_PORT }, 'listening');

  return async () => {
    await server.drain(10_000);
    await ops.drain(1_000);
    await database.close();
  };
});
