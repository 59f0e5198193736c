/**
 * A capture file (the classic format of libpcap, link type 101: IP packets) with CoAP messages in UDP datagrams, as `buoy ctl trace --pcap` writes it.
 * The headers are made here, since the messages were taken behind decryption: the device has its address, the server one of those for
 * documentation (RFC 5737, RFC 3849) and the port of CoAP, by which readers know the protocol.
 */
import { unhex, type Traced } from './coap';

const SERVER_PORT = 5683;
const UDP = 17;
const HOPS = 64;

interface Socket {
  /** 4 or 16 bytes. */
  ip: number[];
  port: number;
}

export function pcap(messages: Traced[], address: string | undefined): Uint8Array<ArrayBuffer> {
  const device = parseAddress(address ?? '') ?? { ip: [192, 0, 2, 2], port: 56_830 };
  const server = { ip: device.ip.length === 4 ? [192, 0, 2, 1] : [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], port: SERVER_PORT };
  const parts: Uint8Array[] = [head()];
  for (const message of messages) {
    const [from, to] = message.incoming ? [device, server] : [server, device];
    const bytes = packet(from, to, unhex(message.bytes));
    parts.push(recordHead(message.at, bytes.length), bytes);
  }
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** A name for the file: the device and the time, with letters that every system takes. */
export function captureName(endpoint: string, at: number): string {
  const name = endpoint.replace(/[^\w.-]+/g, '_').replace(/^[._]+/, '').slice(0, 80) || 'device';
  return `${name}-${new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z.pcap`;
}

function head(): Uint8Array {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint32(0, 0xa1b2c3d4, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, 65_535, true);
  view.setUint32(20, 101, true);
  return new Uint8Array(view.buffer);
}

function recordHead(at: number, length: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, Math.floor(at / 1000), true);
  view.setUint32(4, (at % 1000) * 1000, true);
  view.setUint32(8, length, true);
  view.setUint32(12, length, true);
  return new Uint8Array(view.buffer);
}

function packet(from: Socket, to: Socket, payload: Uint8Array): Uint8Array {
  const length = 8 + payload.length;
  const udp = [...two(from.port), ...two(to.port), ...two(length), 0, 0, ...payload];
  const isIpv4 = from.ip.length === 4;
  const pseudo = isIpv4 ? [...from.ip, ...to.ip, 0, UDP, ...two(length)] : [...from.ip, ...to.ip, 0, 0, ...two(length), 0, 0, 0, UDP];
  // Zero would say that there is no checksum (RFC 768).
  const sum = two(checksum([...pseudo, ...udp]) || 0xffff);
  udp.splice(6, 2, ...sum);
  return Uint8Array.from([...(isIpv4 ? ipv4(from.ip, to.ip, length) : ipv6(from.ip, to.ip, length)), ...udp]);
}

function ipv4(from: number[], to: number[], length: number): number[] {
  const header = [0x45, 0, ...two(20 + length), 0, 0, 0x40, 0, HOPS, UDP, 0, 0, ...from, ...to];
  header.splice(10, 2, ...two(checksum(header)));
  return header;
}

function ipv6(from: number[], to: number[], length: number): number[] {
  return [0x60, 0, 0, 0, ...two(length), UDP, HOPS, ...from, ...to];
}

function two(number: number): [number, number] {
  return [(number >> 8) & 255, number & 255];
}

/** The checksum of the Internet (RFC 1071). */
export function checksum(bytes: number[]): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] as number) * 256 + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** `IP:PORT`, or `[IP]:PORT` of IPv6. */
export function parseAddress(text: string): Socket | undefined {
  const [, six, four, port] = /^(?:\[([0-9a-f:.]+)(?:%\w+)?\]|(\d+\.\d+\.\d+\.\d+)):(\d{1,5})$/i.exec(text) ?? [];
  const ip = four ? bytesOfIpv4(four) : six ? bytesOfIpv6(six) : undefined;
  return ip && Number(port) <= 0xffff ? { ip, port: Number(port) } : undefined;
}

function bytesOfIpv4(text: string): number[] | undefined {
  const bytes = text.split('.').map(Number);
  return bytes.length === 4 && bytes.every((byte) => byte <= 255) ? bytes : undefined;
}

function bytesOfIpv6(text: string): number[] | undefined {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const last = dotted ? bytesOfIpv4(dotted[2] as string) : [];
  if (!last) return undefined;
  const groups = (part: string) => part.split(':').filter(Boolean).flatMap((group) => two(parseInt(group, 16)));
  const [before, after] = (dotted ? (dotted[1] as string).replace(/([^:]):$/, '$1') : text).split('::');
  const [start, end] = [groups(before ?? ''), [...groups(after ?? ''), ...last]];
  const rest = 16 - start.length - end.length;
  return rest >= 0 && (rest === 0 || after !== undefined) ? [...start, ...Array<number>(rest).fill(0), ...end] : undefined;
}
