import { deadChangesReply } from '@frontrow/shared/contracts/internal.ts';
import { commandLine, runCommand } from './cli.ts';
import { askBooking, chosenConcerts, operatedStack } from './operate.ts';

const usage = `Usage: npm run dead-changes -- --concert N [--replay]

Lists the changes that could not be written to MySQL and stand aside. After their cause is mended, --replay tries again; what
happened to a booking since then is never overwritten. Exits 1 while some are left.

  --concert N   the concert's number, or its seed key such as theatre
  --all         every concert
  --replay      try again to write them
  --help        this text`;

await runCommand(async () => {
  const { concert, all, replay } = commandLine(usage, {
    concert: { type: 'string' },
    all: { type: 'boolean', default: false },
    replay: { type: 'boolean', default: false },
  });
  const stack = await operatedStack();
  for (const id of chosenConcerts(stack, concert, all)) {
    const path = `/internal/concerts/${id}/dead-changes`;
    const reply = await askBooking(stack, replay ? 'POST' : 'GET', replay ? `${path}/replay` : path);
    const { replayed, items } = deadChangesReply.parse(reply);
    console.log(`Concert ${id}: ${replay ? `${replayed} replayed, ` : ''}${items.length} aside.`);
    for (const item of items) console.log(`  ${item.id} ${item.kind}: ${item.reason}: ${item.detail}`);
    if (items.length > 0) process.exitCode = 1;
  }
});
