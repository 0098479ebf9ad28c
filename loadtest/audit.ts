import { commandLine, durationMs, isMain, runCommand, UserError } from '../scripts/cli.ts';
import { type AuditReport, auditConcert, describeReport } from './audit/audit.ts';
import { concertsOf, openWitnesses } from './audit/load.ts';
import type { ClientEvent } from './client-event.ts';
import { readClientLog } from './client-log.ts';
import { concertIdOf, runningTarget } from './target.ts';

const usage = `Usage: npm run audit [-- options]

Compares, seat by seat and booking by booking, what Redis, the log, MySQL and the payment provider's ledger say of a
concert, and what clients saw, when their log is given. Names the seat and the ids of everything that does not fit.
Exits 1 when something does not, or when the concert does not come to rest.

  --concert NAME       the seed's key or a concert's number (default theatre)
  --all                every concert
  --client-log FILE    what the clients of a rush saw; the rush keeps it in .data/rush/client.jsonl
  --wait TIME          how long to wait for what is under way (default 30s)
  --json               the whole report as JSON, every violation in it
  --help               this text`;

async function main(): Promise<void> {
  const options = commandLine(usage, {
    concert: { type: 'string', default: 'theatre' },
    all: { type: 'boolean', default: false },
    'client-log': { type: 'string' },
    wait: { type: 'string', default: '30s' },
    json: { type: 'boolean', default: false },
  });
  const waitMs = durationMs('wait', options.wait);
  const clients = options['client-log'] === undefined ? undefined : readEvents(options['client-log']);
  const target = await runningTarget();
  const witnesses = await openWitnesses(target.sources);
  try {
    const ids = options.all ? await concertsOf(witnesses) : [concertIdOf(target.concerts, options.concert)];
    const reports: AuditReport[] = [];
    for (const id of ids) {
      const onWait = waitSayer(id, options.json);
      reports.push(await auditConcert(witnesses, id, { waitMs, onWait, clients: clientsOf(clients, id) }));
    }
    console.log(options.json ? JSON.stringify(reports, null, 2) : reports.map(describeReport).join('\n\n'));
    if (reports.some(({ passed }) => !passed)) process.exitCode = 1;
  } finally {
    await witnesses.close();
  }
}

/** A log of one rush says nothing of other concerts. */
function clientsOf(clients: ClientEvent[] | undefined, concertId: number): ClientEvent[] | undefined {
  const prefix = concertId.toString(16).padStart(8, '0');
  return clients?.filter((event) => !('id' in event) || event.id.startsWith(prefix));
}

function readEvents(file: string): ClientEvent[] {
  try {
    return readClientLog(file);
  } catch (error) {
    throw new UserError(`${file}: ${error instanceof Error ? error.message : error}`);
  }
}

function waitSayer(concertId: number, isQuiet: boolean): (reasons: string[]) => void {
  let said = false;
  return (reasons) => {
    if (said || isQuiet) return;
    said = true;
    console.error(`Concert ${concertId} is not quiet yet (${reasons.join('; ')}): waiting ...`);
  };
}

if (isMain(import.meta.url)) await runCommand(main);
