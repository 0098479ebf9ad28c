import type { ClientEvent } from '../client-event.ts';

/** Writes a line to the client log: k6 is run with `--log-format raw --console-output <file>`. */
export const record = (event: ClientEvent): void => console.log(JSON.stringify(event));
