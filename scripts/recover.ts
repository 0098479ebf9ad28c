import { recoverReply } from '@frontrow/shared/contracts/internal.ts';
import { commandLine, runCommand } from './cli.ts';
import { askBooking, chosenConcerts, operatedStack } from './operate.ts';

const usage = `Usage: npm run recover -- --concert N

Rebuilds a concert's state in Redis from MySQL, and says what was lost. The system does this by itself when it notices that
Redis lost its life (a restart, a fail-over, a flush); the command is for when you want it now, such as after a restore.
Safe while the sale runs: holds wait, and those that were never stored end.

  --concert N   the concert's number, or its seed key such as theatre
  --all         every concert
  --help        this text`;

await runCommand(async () => {
  const { concert, all } = commandLine(usage, {
    concert: { type: 'string' },
    all: { type: 'boolean', default: false },
  });
  const stack = await operatedStack();
  for (const id of chosenConcerts(stack, concert, all)) {
    const report = recoverReply.parse(await askBooking(stack, 'POST', `/internal/concerts/${id}/recover`));
    const lost =
      report.lostAtLeast === 0 ? 'nothing that was seen is lost' : `at least ${report.lostAtLeast} changes are lost`;
    console.log(
      `Concert ${id}: epoch ${report.epoch}; ${report.persisted} changes of Redis' log stored first; ` +
        `${report.restoredHolds} bookings restored; ${lost} (stored up to ${report.lastDurable}).`,
    );
  }
});
