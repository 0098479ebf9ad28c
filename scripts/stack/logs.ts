import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';

const keptLogs = 3;
const pollMs = 300;
const chunkBytes = 256 * 1024;
const loud = /"level":("warn"|"error"|"fatal"|[456]0)/;

/** Gives a process a fresh log file; those of its last runs become `<name>.1.log` (the youngest) to `<name>.3.log`. */
export function rotateLog(dataDir: string, name: string): string {
  mkdirSync(join(dataDir, 'logs'), { recursive: true, mode: 0o700 });
  const older = (age: number) => join(dataDir, 'logs', age === 0 ? `${name}.log` : `${name}.${age}.log`);
  rmSync(older(keptLogs), { force: true });
  for (let age = keptLogs - 1; age >= 0; age--) if (existsSync(older(age))) renameSync(older(age), older(age + 1));
  closeSync(openSync(older(0), 'a', 0o600));
  return older(0);
}

/** The last lines of a log, for an error message. */
export function logTail(file: string, lines = 12): string {
  if (!existsSync(file)) return '';
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).map(readable).join('\n');
}

/**
 * Says each warning and error of a log from its beginning on, as it is written, and whatever is no JSON (a crash's stack trace).
 * The processes write to their files themselves: their logs survive a killed supervisor, and cost it nothing but this.
 * @returns a function that says what is left and ends the watch.
 */
export function followLog(name: string, file: string, say: (line: string) => void): () => void {
  const fd = openSync(file, 'r');
  const chunk = Buffer.alloc(chunkBytes);
  let position = 0;
  const decoder = new StringDecoder('utf8');
  let unfinished = '';

  const look = () => {
    for (;;) {
      const bytes = readSync(fd, chunk, 0, chunkBytes, position);
      if (bytes === 0) return;
      position += bytes;
      const lines = (unfinished + decoder.write(chunk.subarray(0, bytes))).split('\n');
      unfinished = lines.pop() ?? '';
      for (const line of lines) if (isLoud(line)) say(`${name}: ${readable(line)}`);
    }
  };
  const timer = setInterval(look, pollMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    look();
    closeSync(fd);
  };
}

function isLoud(line: string): boolean {
  return line.startsWith('{') ? loud.test(line) : line.trim() !== '';
}

/** A JSON log line as a person reads it: message, and the error's when there is one. */
function readable(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null) return line;
    const text = 'msg' in entry && typeof entry.msg === 'string' ? entry.msg : '';
    const error = 'err' in entry && typeof entry.err === 'object' && entry.err !== null ? entry.err : undefined;
    const cause = error && 'message' in error && typeof error.message === 'string' ? error.message : '';
    const said = [text, cause === text ? '' : cause].filter(Boolean).join(': ');
    return said || line;
  } catch {
    return line;
  }
}
