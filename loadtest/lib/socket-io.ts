import { WebSocket } from 'k6/websockets';

/**
 * The few frames of engine.io 4 and socket.io 5 that a watcher needs; k6 speaks plain websockets only.
 * `0` open, `2`/`3` ping and pong, `40` connect, `42[…]` event, `451-[…]` event whose binary part comes in the next frame.
 * https://github.com/socketio/socket.io-protocol
 */
export interface SocketIo {
  emit(event: string, body: unknown): void;
  close(): void;
}

interface Handlers {
  /** Goes into the handshake's `auth.token`. */
  token?: string;
  onConnect(socket: SocketIo): void;
  /** `binary` is the attachment of a binary event. */
  onEvent(event: string, body: unknown, binary: ArrayBuffer | null): void;
  onEnd(reason: string): void;
}

/** @param url of the service, http or https. */
export function connectSocketIo(url: string, handlers: Handlers): SocketIo {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/socket.io/?EIO=4&transport=websocket`);
  socket.binaryType = 'arraybuffer';
  const client: SocketIo = {
    emit: (event, body) => socket.send(`42${JSON.stringify([event, body])}`),
    close: () => socket.close(),
  };
  let waiting: string | null = null;
  // Every delta has the same head: parsing it once is enough.
  let [knownHead, knownEvent] = ['', ''];

  const receiveText = (frame: string): void => {
    if (frame.startsWith('42')) {
      const [event, body] = JSON.parse(frame.slice(2)) as [string, unknown];
      handlers.onEvent(event, body, null);
    } else if (frame.startsWith('451-')) {
      if (frame !== knownHead) [knownHead, [knownEvent]] = [frame, JSON.parse(frame.slice(4)) as [string]];
      waiting = knownEvent;
    } else if (frame === '2') socket.send('3');
    else if (frame.startsWith('40')) handlers.onConnect(client);
    else if (frame.startsWith('44')) handlers.onEnd(`refused: ${frame.slice(2)}`);
    else if (frame.startsWith('0')) {
      socket.send(handlers.token === undefined ? '40' : `40${JSON.stringify({ token: handlers.token })}`);
    }
  };

  socket.onmessage = (message) => {
    const data = message?.data;
    if (typeof data === 'string') receiveText(data);
    else if (data instanceof ArrayBuffer && waiting !== null) {
      const event = waiting;
      waiting = null;
      handlers.onEvent(event, null, data);
    }
  };
  socket.onclose = () => handlers.onEnd('closed');
  socket.onerror = (fault) => handlers.onEnd(fault?.error ?? 'failed');
  return client;
}

export interface Delta {
  concertId: number;
  fromVersion: number;
  toVersion: number;
  seats: number;
}

/** The head of a `delta` frame: u32 concert, u32 seats, f64 from, f64 to, little endian. */
export function readDelta(frame: ArrayBuffer): Delta {
  const view = new DataView(frame);
  return {
    concertId: view.getUint32(0, true),
    seats: view.getUint32(4, true),
    fromVersion: view.getFloat64(8, true),
    toVersion: view.getFloat64(16, true),
  };
}
