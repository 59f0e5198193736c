/** Reads CBOR (RFC 8949), with limits: it comes from devices. Maps stay lists of pairs, since their keys may be numbers or lists. */

export class CborMap {
  constructor(readonly pairs: [Cbor, Cbor][]) {}
}

/** Numbers beyond those that are exact are `bigint`. */
export type Cbor = number | bigint | string | boolean | null | undefined | Uint8Array | Cbor[] | CborMap;

const DEEPEST = 16;
const MOST_ITEMS = 20_000;

/** The one item that the bytes are. */
export function decodeCbor(bytes: Uint8Array): Cbor {
  const reader = new Reader(bytes);
  const item = reader.item(0);
  if (reader.left > 0) throw new Error(`${reader.left} bytes are behind the end`);
  return item;
}

const BREAK = Symbol('break');

class Reader {
  #at = 0;
  #items = 0;
  #view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.#at;
  }

  item(depth: number): Cbor {
    const item = this.#any(depth);
    if (item === BREAK) throw new Error('an end without a beginning');
    return item;
  }

  #any(depth: number): Cbor | typeof BREAK {
    if (depth > DEEPEST) throw new Error(`it is deeper than ${DEEPEST} levels`);
    if (++this.#items > MOST_ITEMS) throw new Error(`it has more than ${MOST_ITEMS} items`);
    const first = this.#take(1)[0] as number;
    const [major, info] = [first >> 5, first & 31];
    if (major === 7) return this.#simple(info);
    if (info === 31) return this.#indefinite(major, depth);
    const argument = this.#argument(info);
    switch (major) {
      case 0:
        return argument;
      case 1:
        return typeof argument === 'bigint' ? -1n - argument : -1 - argument;
      case 2:
        return this.#take(Number(argument)).slice();
      case 3:
        return new TextDecoder().decode(this.#take(Number(argument)));
      case 4:
        return this.#list(Number(argument), depth);
      case 5:
        return this.#map(Number(argument), depth);
      default:
        return this.#tagged(Number(argument), this.item(depth + 1));
    }
  }

  #argument(info: number): number | bigint {
    if (info < 24) return info;
    if (info > 27) throw new Error(`${info} is no length`);
    const size = 2 ** (info - 24);
    const at = this.#at;
    this.#take(size);
    if (size === 1) return this.#view.getUint8(at);
    if (size === 2) return this.#view.getUint16(at);
    if (size === 4) return this.#view.getUint32(at);
    const big = this.#view.getBigUint64(at);
    return big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : big;
  }

  #simple(info: number): Cbor | typeof BREAK {
    const at = this.#at;
    switch (info) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      case 23:
        return undefined;
      case 24:
        return this.#take(1)[0];
      case 25:
        this.#take(2);
        return half(this.#view.getUint16(at));
      case 26:
        this.#take(4);
        return this.#view.getFloat32(at);
      case 27:
        this.#take(8);
        return this.#view.getFloat64(at);
      case 31:
        return BREAK;
      default:
        return info;
    }
  }

  #list(length: number, depth: number): Cbor[] {
    // Each item takes a byte at least, so a length that can't be is found at once.
    if (length > this.left) throw new Error('it ends within a list');
    return Array.from({ length }, () => this.item(depth + 1));
  }

  #map(length: number, depth: number): CborMap {
    if (length > this.left) throw new Error('it ends within a map');
    return new CborMap(Array.from({ length }, () => [this.item(depth + 1), this.item(depth + 1)] as [Cbor, Cbor]));
  }

  #indefinite(major: number, depth: number): Cbor {
    const items: Cbor[] = [];
    for (;;) {
      const item = this.#any(depth + 1);
      if (item === BREAK) break;
      items.push(item);
    }
    if (major === 4) return items;
    if (major === 5) {
      if (items.length % 2 === 1) throw new Error('a map has a key without a value');
      return new CborMap(Array.from({ length: items.length / 2 }, (_, at) => [items[2 * at], items[2 * at + 1]] as [Cbor, Cbor]));
    }
    if (major === 3) return items.map(String).join('');
    if (major === 2) return Uint8Array.from(items.flatMap((item) => (item instanceof Uint8Array ? [...item] : [])));
    throw new Error('a number without an end');
  }

  /** Decimal fractions are numbers (section 3.4.4); what other tags mean is left out. */
  #tagged(tag: number, item: Cbor): Cbor {
    if (tag === 4 && Array.isArray(item) && item.length === 2) return Number(item[1]) * 10 ** Number(item[0]);
    return item;
  }

  #take(length: number): Uint8Array {
    if (length > this.left) throw new Error('it ends too early');
    const part = this.bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return part;
  }
}

/** A number of 16 bits (appendix D). */
function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent === 0 ? fraction * 2 ** -24 : exponent === 31 ? (fraction === 0 ? Infinity : NaN) : (fraction + 1024) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -size : size;
}
