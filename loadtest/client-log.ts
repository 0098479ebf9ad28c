import { readFileSync } from 'node:fs';
import { type ClientEvent, clientEvent } from './client-event.ts';

/**
 * Reads a client log. A last line without an end belongs to a k6 that was killed while it wrote, and is left out.
 * @throws Error with the number of the first line that is no event.
 */
export function readClientLog(file: string): ClientEvent[] {
  return parseClientLines(readFileSync(file, 'utf8')).events;
}

/** @returns the events of the whole lines, and the unfinished rest. */
export function parseClientLines(text: string): { events: ClientEvent[]; rest: string } {
  const lines = text.split('\n');
  const rest = lines.pop() ?? '';
  const events = lines.flatMap((line, index) => (line === '' ? [] : [parseLine(line, index + 1)]));
  return { events, rest };
}

function parseLine(line: string, number: number): ClientEvent {
  try {
    return clientEvent.parse(JSON.parse(line));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`line ${number} of the client log is no event: ${line.slice(0, 200)}\n${reason}`);
  }
}
