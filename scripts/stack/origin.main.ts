import { envTypes, parseEnv } from '@frontrow/shared/env.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { z } from 'zod';
import { createOrigin } from './origin.ts';

/** The web origin as a process of its own. It holds no state, so it ends as soon as the open answers are given. */
const env = parseEnv(
  z.object({
    ORIGIN_HOST: z.string().default('127.0.0.1'),
    ORIGIN_PORT: envTypes.port,
    LOG_LEVEL: z.string().default('info'),
    WEB_FOLDER: z.string(),
    WELCOME_FILE: z.string(),
    USER_URL: envTypes.url('http'),
    BOOKING_URL: envTypes.url('http'),
    PAYMENT_URL: envTypes.url('http'),
    USER_OPS_URL: envTypes.url('http'),
    BOOKING_OPS_URL: envTypes.url('http'),
    PAYMENT_OPS_URL: envTypes.url('http'),
  }),
);
const log = createLogger('origin', env.LOG_LEVEL);
const drainMs = 5_000;

const server = createOrigin({
  targets: {
    user: env.USER_URL,
    booking: env.BOOKING_URL,
    payment: env.PAYMENT_URL,
    userOps: env.USER_OPS_URL,
    bookingOps: env.BOOKING_OPS_URL,
    paymentOps: env.PAYMENT_OPS_URL,
  },
  webFolder: env.WEB_FOLDER,
  welcomeFile: env.WELCOME_FILE,
  warn: (message) => log.warn(message),
});

server.listen({ port: env.ORIGIN_PORT, host: env.ORIGIN_HOST, exclusive: true }, () =>
  log.info({ port: env.ORIGIN_PORT }, 'listening'),
);
server.on('error', (error) => {
  log.fatal({ err: error }, 'cannot listen');
  process.exit(1);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    log.info({ signal }, 'stopping');
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    // Websockets never end by themselves: the services close theirs with a reason when they stop.
    setTimeout(() => process.exit(0), server.listening ? drainMs : 0).unref();
  });
}
