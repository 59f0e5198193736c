/** Reads TLV (LwM2M Core 1.2, section 7.4.3), with limits: it comes from devices. */

interface Branch {
  kind: 'instance' | 'multiple';
  id: number;
  children: Tlv[];
}

interface Leaf {
  kind: 'resource' | 'resource instance';
  id: number;
  value: Uint8Array;
}

export type Tlv = Branch | Leaf;

const KINDS = ['instance', 'resource instance', 'multiple', 'resource'] as const;
const MOST_ITEMS = 10_000;

export function decodeTlv(bytes: Uint8Array): Tlv[] {
  return list(bytes, 0, { left: MOST_ITEMS });
}

function list(bytes: Uint8Array, depth: number, budget: { left: number }): Tlv[] {
  // Object instance, resource, resource instance: no deeper level exists.
  if (depth > 2) throw new Error('it is deeper than an object is');
  const items: Tlv[] = [];
  let at = 0;
  const next = (): number => {
    const byte = bytes[at++];
    if (byte === undefined) throw new Error('it ends within an entry');
    return byte;
  };
  while (at < bytes.length) {
    if (budget.left-- <= 0) throw new Error(`it has more than ${MOST_ITEMS} entries`);
    const type = next();
    const kind = KINDS[type >> 6] as (typeof KINDS)[number];
    let id = next();
    if (type & 0x20) id = id * 256 + next();
    let length = type & 7;
    const bytesOfLength = (type >> 3) & 3;
    if (bytesOfLength > 0) {
      length = 0;
      for (let count = 0; count < bytesOfLength; count += 1) length = length * 256 + next();
    }
    if (length > bytes.length - at) throw new Error('it ends within a value');
    const value = bytes.subarray(at, at + length);
    at += length;
    items.push(kind === 'instance' || kind === 'multiple' ? { kind, id, children: list(value, depth + 1, budget) } : { kind, id, value });
  }
  return items;
}
