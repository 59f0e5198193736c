/**
 * The messages of a device as exchanges: a request with its answer, a notification with its acknowledgement. A message that was sent again is
 * counted (RFC 7252 section 4.2), and the blocks of one transfer are one exchange (RFC 7959).
 */
import { block, isRequest, isResponse, numberOf, option, payloadOf, target, type Traced } from './coap';

/** A message id means the same message for so long (RFC 7252 section 4.8.2, EXCHANGE_LIFETIME). */
const SAME_MESSAGE = 247_000;
const MOST_EXCHANGES = 2_000;
const MOST_MESSAGES = 20_000;
/** Bytes of a payload that are put together of blocks. */
const MOST_BYTES = 65_536;

/** A message, and when it was sent again. */
export interface Step {
  message: Traced;
  again: number[];
}

export interface Exchange {
  id: number;
  /** Changes with each message. */
  revision: number;
  at: number;
  kind: 'request' | 'notification' | 'other';
  /** Whether the device asked; of a notification, that it told. */
  fromDevice: boolean;
  /** As LwM2M names it: "Read", "Write", "Register". */
  action: string;
  path: string;
  query: string;
  steps: Step[];
  /** The last answer. */
  answer?: Traced;
  /** Milliseconds from the first message to the last answer. */
  took?: number;
  /** The acknowledgement that came before the answer, or of a notification. */
  acknowledged?: number;
  /** How often messages of it were sent again. */
  repetitions: number;
  blocks: number;
  blockSize: number;
  /** It was refused by a Reset. */
  isReset: boolean;
}

export class Conversation {
  /** The oldest first. */
  exchanges: Exchange[] = [];
  messages = 0;

  #next = 1;
  #byId = new Map<string, { step: Step; exchange: Exchange }>();
  #byToken = new Map<string, Exchange>();
  /** Transfers that are not complete, by the direction of their requests, their method and their path. */
  #transfers = new Map<string, Exchange>();
  /** The paths of observations by their tokens. */
  #observed = new Map<string, string>();

  add(message: Traced): void {
    this.messages += 1;
    if (this.#isRepeated(message)) return;
    const step: Step = { message, again: [] };
    const exchange = this.#exchangeOf(message);
    exchange.steps.push(step);
    this.#byId.set(idOf(message), { step, exchange });
    this.#conclude(exchange, message);
    exchange.revision += 1;
    this.#forgetOldest();
  }

  /** An event of the server named the paths of a notification: those that began before the trace have no other name. */
  name(at: number, paths: string[]): void {
    const path = paths.length === 1 ? paths[0] : undefined;
    if (path === undefined) return;
    const found = this.exchanges.findLast((one) => one.kind === 'notification' && one.path === '' && Math.abs(one.at - at) < 500);
    if (!found) return;
    found.path = path;
    found.revision += 1;
    const token = found.steps[0]?.message.token;
    if (token !== undefined) this.#observed.set(token, path);
  }

  #isRepeated(message: Traced): boolean {
    const known = this.#byId.get(idOf(message));
    if (!known || known.step.message.bytes !== message.bytes || message.at - known.step.message.at > SAME_MESSAGE) return false;
    known.step.again.push(message.at);
    known.exchange.repetitions += 1;
    known.exchange.revision += 1;
    return true;
  }

  #exchangeOf(message: Traced): Exchange {
    if (isRequest(message)) return this.#ofRequest(message);
    const asked = this.#byId.get(idOf(message, !message.incoming))?.exchange;
    const isReply = message.type === 'ACK' || message.type === 'RST';
    if (isResponse(message)) {
      const exchange = this.#byToken.get(tokenOf(message, !message.incoming));
      const isNotification = !isReply && option(message, 'Observe') !== undefined && (!exchange || isAnswered(exchange));
      if (isNotification || (!exchange && !asked && message.incoming && !isReply)) return this.#ofNotification(message);
      if (exchange) return exchange;
    }
    if (isReply && asked) return asked;
    const action = message.type === 'RST' ? 'Reset' : message.code === '0.00' && message.type !== 'ACK' ? 'Ping' : isReply ? 'Acknowledgement' : 'Answer';
    return this.#start(message, 'other', action, '', '');
  }

  #ofRequest(message: Traced): Exchange {
    const { path, query } = target(message);
    const transfer = transferOf(message.incoming, message.code, path);
    const [part1, part2] = [block(message, 'Block1'), block(message, 'Block2')];
    const continues = (part1?.number ?? 0) > 0 || (part2?.number ?? 0) > 0;
    const open = continues ? this.#transfers.get(transfer) : undefined;
    const exchange = open ?? this.#start(message, 'request', actionOf(message), path, query);
    this.#byToken.set(tokenOf(message), exchange);
    if (numberOf(message, 'Observe') === 0) this.#observed.set(message.token, path);
    if (part1?.more || (part1 && continues)) this.#transfers.set(transfer, exchange);
    return exchange;
  }

  #ofNotification(message: Traced): Exchange {
    return this.#start(message, 'notification', 'Notify', this.#observed.get(message.token) ?? '', '');
  }

  #start(message: Traced, kind: Exchange['kind'], action: string, path: string, query: string): Exchange {
    const exchange: Exchange = {
      id: this.#next++, revision: 0, at: message.at, kind, fromDevice: message.incoming, action, path, query,
      steps: [], repetitions: 0, blocks: 0, blockSize: 0, isReset: false,
    };
    this.exchanges.push(exchange);
    return exchange;
  }

  /** What a message says of its exchange. */
  #conclude(exchange: Exchange, message: Traced): void {
    const part = isRequest(message) ? block(message, 'Block1') : block(message, 'Block2');
    if (part && (part.more || part.number > 0)) {
      exchange.blocks = Math.max(exchange.blocks, part.number + 1);
      exchange.blockSize = part.size;
    }
    if (message.type === 'RST') exchange.isReset = true;
    if (message.code === '0.00' && message.type === 'ACK') exchange.acknowledged ??= message.at;
    if (!isResponse(message)) return;
    exchange.answer = message;
    if (exchange.kind === 'request') exchange.took = message.at - exchange.at;
    if (part?.more && exchange.path) this.#transfers.set(transferOf(!message.incoming, '0.01', exchange.path), exchange);
  }

  #forgetOldest(): void {
    while (this.exchanges.length > MOST_EXCHANGES || (this.messages > MOST_MESSAGES && this.exchanges.length > 1)) {
      const gone = this.exchanges.shift() as Exchange;
      this.messages -= gone.steps.length + gone.repetitions;
      for (const { message } of gone.steps) {
        if (this.#byId.get(idOf(message))?.exchange === gone) this.#byId.delete(idOf(message));
        if (this.#byToken.get(tokenOf(message)) === gone) this.#byToken.delete(tokenOf(message));
      }
      for (const [key, exchange] of this.#transfers) if (exchange === gone) this.#transfers.delete(key);
    }
  }
}

function idOf(message: Traced, incoming = message.incoming): string {
  return `${incoming ? 'in' : 'out'} ${message.message_id}`;
}

function tokenOf(message: Traced, incoming = message.incoming): string {
  return `${incoming ? 'in' : 'out'} ${message.token}`;
}

function transferOf(incoming: boolean, code: string, path: string): string {
  return `${incoming ? 'in' : 'out'} ${code} ${path}`;
}

/** Whether it has the answer that ends it: a block is followed by others. */
function isAnswered(exchange: Exchange): boolean {
  return exchange.answer !== undefined && exchange.answer.code !== '2.31';
}

/** The operations of LwM2M by their messages (Core 1.2, section 6, Transport 1.2, table 6.4). */
function actionOf(message: Traced): string {
  const { path, query } = target(message);
  const segments = path.split('/').filter(Boolean);
  return message.incoming ? fromDevice(message.code, segments) : toDevice(message, segments, query);
}

function fromDevice(code: string, segments: string[]): string {
  const root = segments[0];
  if (root === 'rd' && code === '0.02') return segments.length === 1 ? 'Register' : 'Update';
  if (root === 'rd' && code === '0.04') return 'Deregister';
  if (root === 'dp') return 'Send';
  if (root === 'bs') return 'Bootstrap-Request';
  if (root === 'bspack') return 'Bootstrap-Pack-Request';
  return code === '0.01' ? 'Download' : 'Request';
}

function toDevice(message: Traced, segments: string[], query: string): string {
  const observe = numberOf(message, 'Observe');
  switch (message.code) {
    case '0.01':
      if (observe !== undefined) return observe === 1 ? 'Cancel Observation' : 'Observe';
      return numberOf(message, 'Accept') === 40 ? 'Discover' : 'Read';
    case '0.02':
      if (segments[0] === 'bs') return 'Bootstrap-Finish';
      return segments.length === 3 ? 'Execute' : segments.length === 1 ? 'Create' : 'Write';
    case '0.03':
      return query !== '' && !message.payload ? 'Write-Attributes' : 'Write';
    case '0.04':
      return 'Delete';
    case '0.05':
      return observe !== undefined ? (observe === 1 ? 'Cancel Observation' : 'Observe-Composite') : 'Read-Composite';
    case '0.07':
      return 'Write-Composite';
    default:
      return 'Request';
  }
}

export interface Payload {
  format: number | undefined;
  bytes: Uint8Array;
  /** A part of it came before the trace, or it is longer than what is put together. */
  isPart: boolean;
}

/** The payload of the request or of the answer, put together of its blocks. */
export function payloadOfExchange(exchange: Exchange, of: 'request' | 'answer'): Payload | undefined {
  const messages = exchange.steps.map((step) => step.message).filter((message) => (of === 'request' ? isRequest(message) : isResponse(message)) && message.payload);
  const first = messages[0];
  if (!first) return undefined;
  const name = of === 'request' ? 'Block1' : 'Block2';
  const parts = new Map<number, Uint8Array>();
  let [size, isPart] = [0, false];
  for (const message of messages) {
    const bytes = payloadOf(message);
    parts.set(block(message, name)?.number ?? 0, bytes);
    size += bytes.length;
    if (size > MOST_BYTES) break;
  }
  const all: number[] = [];
  for (let number = 0; number < parts.size && !isPart; number += 1) {
    const bytes = parts.get(number);
    if (!bytes || all.length + bytes.length > MOST_BYTES) isPart = true;
    else for (const byte of bytes) all.push(byte);
  }
  return { format: numberOf(first, 'Content-Format'), bytes: Uint8Array.from(all), isPart };
}
