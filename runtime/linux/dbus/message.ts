import { Reader, type Value, type Variant, Writer } from './marshal.ts';

/** Types of messages (D-Bus specification, Message Format). */
const TYPE = { call: 1, reply: 2, error: 3, signal: 4 } as const;
type MessageType = keyof typeof TYPE;

/** Codes of header fields, with their types. */
const FIELD = {
  path: [1, 'o'],
  interface: [2, 's'],
  member: [3, 's'],
  errorName: [4, 's'],
  replySerial: [5, 'u'],
  destination: [6, 's'],
  signature: [8, 'g'],
} as const;
type FieldName = keyof typeof FIELD;

const LITTLE_ENDIAN = 'l'.charCodeAt(0);
const PROTOCOL_VERSION = 1;
/** The header up to its array of fields, whose length is the last word of it. */
const FIXED = 16;
const LONGEST = 128 * 1024 * 1024;

/** A method of an object that is called, with its arguments. */
export interface MethodCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** The types of the arguments; empty when there are none. */
  readonly signature: string;
  readonly body: readonly Value[];
}

/** A message that came in. */
export interface Message {
  /** Undefined for a type that this version of the protocol does not know. */
  readonly type: MessageType | undefined;
  /** Of a reply or an error: the serial of the call. */
  readonly replySerial: number | undefined;
  readonly errorName: string | undefined;
  readonly member: string | undefined;
  /** Reads what it carries. @throws Error for a type that is not understood */
  readonly body: () => readonly Value[];
}

/**
 * Lays a call out as bytes.
 *
 * @param serial the call's number on its connection, above 0
 * @throws Error for arguments that don't go with their signature
 */
export function encodeCall(call: MethodCall, serial: number): Uint8Array {
  const body = new Writer();
  body.write(`(${call.signature})`, call.body);
  const names = ['path', 'interface', 'member', 'destination', 'signature'] as const;
  const fields = names
    .filter((name) => call[name] !== '')
    .map((name): Value => {
      const [code, signature] = FIELD[name];
      return [code, { signature, value: call[name] }];
    });
  const message = new Writer();
  const start = [LITTLE_ENDIAN, TYPE.call, 0, PROTOCOL_VERSION];
  message.write('(yyyyuua(yv))', [...start, body.bytes.byteLength, serial, fields]);
  message.align(8);
  return Buffer.concat([message.bytes, body.bytes]);
}

/**
 * How long the message is that begins with these bytes.
 *
 * @returns undefined when these are too few to know
 * @throws Error for what is no message of this machine's byte order
 */
export function messageLength(bytes: Uint8Array): number | undefined {
  if (bytes.byteLength < FIXED) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const fields = view.getUint32(FIXED - 4, true);
  const length = FIXED + fields + (-fields & 7) + view.getUint32(4, true);
  if (view.getUint8(0) !== LITTLE_ENDIAN || length > LONGEST)
    throw new Error('what came is no message of D-Bus');
  return length;
}

/** Reads a whole message: what it carries only when it is asked for. @throws Error for what is none */
export function decodeMessage(bytes: Uint8Array): Message {
  const [, type] = bytes;
  const header = new Reader(bytes, FIXED - 4);
  const fields = new Map(
    (header.read('a(yv)') as [number, Variant][]).map(([code, { value }]) => [code, value]),
  );
  const field = (name: FieldName) => fields.get(FIELD[name][0]);
  const text = (name: FieldName) => field(name) as string | undefined;
  const bodyLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  const body = new Reader(bytes.subarray(bytes.byteLength - bodyLength));
  return {
    type: (Object.keys(TYPE) as MessageType[]).find((name) => TYPE[name] === type),
    replySerial: field('replySerial') as number | undefined,
    errorName: text('errorName'),
    member: text('member'),
    body: () => body.readAll(text('signature') ?? ''),
  };
}
