import { parseEnv } from '@frontrow/shared/env.ts';
import { createTokenVerifier } from '@frontrow/shared/http/auth.ts';
import { Metrics } from '@frontrow/shared/http/metrics.ts';
import { createOpsServer } from '@frontrow/shared/http/ops.ts';
import { HttpServer } from '@frontrow/shared/http/server.ts';
import type { ConcertId } from '@frontrow/shared/ids.ts';
import { runProcess } from '@frontrow/shared/lifecycle.ts';
import { createLogger, type Logger } from '@frontrow/shared/log.ts';
import { apiDocument, apiRoutes } from './api.ts';
import { BookingRepo } from './booking/booking.repo.ts';
import { Catalog } from './catalog/catalog.ts';
import type { Concert } from './catalog/concert.ts';
import { readLog } from './engine/log.ts';
import { apiEnv } from './env.ts';
import { HoldStore } from './hold/hold.store.ts';
import { SeatMapFollower } from './seatmap/seatmap.follower.ts';
import { SeatMapSockets } from './seatmap/seatmap.socket.ts';
import { SeatMap } from './seatmap/seatmap.ts';
import { openStores } from './stores.ts';

const log = createLogger(process.env.PROCESS_NAME || 'booking', 'info');
runProcess(log, () => start(log));

async function start(log: Logger): Promise<() => Promise<void>> {
  const env = parseEnv(apiEnv);
  log.level = env.LOG_LEVEL;
  const metrics = new Metrics(env.PROCESS_NAME ?? 'booking');
  const maps = new Map<ConcertId, SeatMap>();
  const mapOf = (id: ConcertId) => maps.get(id);
  const stores = openStores(env, {
    log,
    seen: (id) => ({ epoch: mapOf(id)?.epoch ?? 0, n: mapOf(id)?.n ?? -1 }),
    withoutGuards: env.UNSAFE_WITHOUT_GUARDS ?? [],
  });
  const { redis, subscriber, shards, scripts, catalogRepo, persister, recovery } = stores;
  const verifyToken = createTokenVerifier(env.JWKS_FILE, { remember: env.TACTIC_TOKEN_MEMORY });

  const batchHolds = metrics.histogram(
    'hold_batch_holds',
    'Holds in one call to Redis',
    [],
    [1, 2, 4, 8, 16, 32, 64, 128],
  );
  const answers = metrics.counter('hold_answers_total', 'Answers to hold requests', ['status']);
  const store = new HoldStore(scripts, {
    batching: env.TACTIC_BATCHING,
    waitingMax: env.HOLDS_WAITING_MAX,
    onBatch: (holds) => batchHolds.observe(holds),
  });

  let sockets: SeatMapSockets | null = null;
  const follower = new SeatMapFollower({
    scripts,
    redis,
    subscriber,
    log,
    onChange: (id, change) => sockets?.changed(id, change),
    onDurable: (id, version) => sockets?.durable(id, version),
  });
  const catalog = new Catalog(catalogRepo, log, async (concert: Concert) => {
    if (maps.has(concert.id)) return;
    const map = new SeatMap(concert.id, concert.layout.layoutVersion, concert.layout.seatCount);
    maps.set(concert.id, map);
    await follower.follow(map);
  });
  const bookings = new BookingRepo(shards);

  const server = new HttpServer({
    log,
    metrics,
    verifyToken,
    serviceTokenSecret: env.SERVICE_TOKEN_SECRET,
    routes: apiRoutes({
      catalog: { catalog, availability: mapOf },
      organise: () => catalogRepo,
      seatMap: {
        map: mapOf,
        labels: (id) => catalog.get(id)?.layout.labels,
        readLog: (id, after, limit) => readLog(redis, id, after, limit),
        remember: env.TACTIC_MAP_MEMORY,
      },
      hold: {
        concert: (id) => catalog.get(id),
        live: mapOf,
        store,
        scripts: () => scripts,
        holdIdSecret: env.HOLD_ID_SECRET,
        earlyRefusal: env.TACTIC_EARLY_REFUSAL,
        onAnswer: (status) => answers.inc({ status }),
      },
      booking: { repo: () => bookings, scripts: () => scripts, layout: (id) => catalog.get(id)?.layout },
      settle: { repo: () => bookings, scripts: () => scripts, currency: (id) => catalog.get(id)?.layout.currency },
      recovery: {
        recovery: () => recovery,
        concert: (id) => catalog.get(id),
        changeSale: async (id, change) => {
          const known = catalog.get(id);
          if (known === undefined) throw new RangeError(`There is no concert ${id}.`);
          const concert = { ...known, ...change };
          await catalogRepo.changeSale(concert);
          return concert;
        },
        resetAllowed: env.NODE_ENV !== 'production',
      },
      deadChanges: [() => persister, (id) => catalog.get(id) !== undefined],
    }),
  });
  sockets = new SeatMapSockets({ app: server.app, verifyToken, map: mapOf, coalesce: env.TACTIC_DELTA_COALESCING });
  metrics.gauge('sockets_connected', 'Websocket connections of this process', [], (gauge) =>
    gauge.set(sockets?.connected ?? 0),
  );
  const ops = createOpsServer({
    log,
    metrics,
    openApi: apiDocument(),
    serviceTokenSecret: env.SERVICE_TOKEN_SECRET,
    dependencies: stores.dependencies,
  });

  await catalog.start();
  await ops.listen(env.HOST, env.OPS_PORT);
  // Several booking processes share the port.
  await server.listen(env.HOST, env.PORT, true);
  log.info({ port: env.PORT, opsPort: env.OPS_PORT, concerts: maps.size }, 'booking-service serves');

  return async () => {
    catalog.stop();
    await server.drain(10_000);
    await sockets?.close();
    follower.stop();
    await ops.drain(1_000);
    await stores.close();
  };
}
