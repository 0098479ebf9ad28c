import { buildOpenApi } from '@frontrow/shared/http/openapi.ts';
import type { Route } from '@frontrow/shared/http/route.ts';
import type { OpenApiBuilder } from 'openapi3-ts/oas31';
import { bookingRoutes } from './booking/booking.routes.ts';
import { settleRoutes } from './booking/settle.routes.ts';
import { catalogRoutes } from './catalog/catalog.routes.ts';
import { organiseRoutes } from './catalog/organise.routes.ts';
import { holdRoutes } from './hold/hold.routes.ts';
import { deadChangeRoutes } from './persist/dead-change.routes.ts';
import { recoveryRoutes } from './recovery/recovery.routes.ts';
import { seatMapRoutes } from './seatmap/seatmap.routes.ts';

/** What the routes of each feature are made of. */
export interface ApiDeps {
  catalog: Parameters<typeof catalogRoutes>[0];
  organise: Parameters<typeof organiseRoutes>[0];
  seatMap: Parameters<typeof seatMapRoutes>[0];
  hold: Parameters<typeof holdRoutes>[0];
  booking: Parameters<typeof bookingRoutes>[0];
  settle: Parameters<typeof settleRoutes>[0];
  recovery: Parameters<typeof recoveryRoutes>[0];
  deadChanges: Parameters<typeof deadChangeRoutes>;
}

export const apiRoutes = (deps: ApiDeps): Route[] => [
  ...catalogRoutes(deps.catalog),
  ...seatMapRoutes(deps.seatMap),
  ...holdRoutes(deps.hold),
  ...bookingRoutes(deps.booking),
  ...organiseRoutes(deps.organise),
  ...settleRoutes(deps.settle),
  ...recoveryRoutes(deps.recovery),
  ...deadChangeRoutes(...deps.deadChanges),
];

const notRunning = (): never => {
  throw new Error('This service is only described, not running.');
};

/** The routes with nothing behind them, for the documents. */
export const describedRoutes = (): Route[] =>
  apiRoutes({
    catalog: { catalog: { get: notRunning, all: notRunning }, availability: notRunning },
    organise: notRunning,
    seatMap: { map: notRunning, labels: notRunning, readLog: notRunning, remember: true },
    hold: {
      concert: notRunning,
      live: notRunning,
      store: { hold: notRunning },
      scripts: notRunning,
      holdIdSecret: '',
      earlyRefusal: true,
    },
    booking: { repo: notRunning, scripts: notRunning, layout: notRunning },
    settle: { repo: notRunning, scripts: notRunning, currency: notRunning },
    recovery: { recovery: notRunning, concert: notRunning, changeSale: notRunning, resetAllowed: false },
    deadChanges: [notRunning, notRunning],
  });

export const apiDocument = (): OpenApiBuilder =>
  buildOpenApi(
    'Frontrow booking-service',
    'Concerts, the live seat map, holds and bookings. Live changes come over socket.io at /socket.io/ (websocket transport only): send `watch {concertId}`; ' +
      'receive `snapshot {concertId, layoutVersion, version}`, `delta` (binary, little endian: u32 concert, u32 seats, f64 from version, f64 to version, then u32 a seat: ' +
      'index * 4 + state) and, for your own bookings, `booking {id, status, phase, expiresAt}`. A delta that ends at or before your version says nothing new; one that ' +
      'starts at or before it leads to its end; when it starts after your version, frames are missing: read the seat map again.',
    describedRoutes(),
  );
