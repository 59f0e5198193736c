/** Reads `text/event-stream` (HTML standard, section 9.2.6) piece by piece. */

export interface Message {
  id: string | undefined;
  type: string;
  data: string;
}

export class StreamParser {
  #rest = '';
  #id: string | undefined;
  #type = '';
  #data: string[] = [];

  /** The messages that are complete after this piece. The last id is kept as in the standard, also if a message has no data. */
  push(piece: string): Message[] {
    const messages: Message[] = [];
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length > 0) messages.push({ id: this.#id, type: this.#type || 'message', data: this.#data.join('\n') });
        this.#type = '';
        this.#data = [];
      } else if (!line.startsWith(':')) {
        this.#field(line);
      }
    }
    return messages;
  }

  get lastId(): string | undefined {
    return this.#id;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') this.#data.push(value);
    else if (name === 'event') this.#type = value;
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
  }
}
