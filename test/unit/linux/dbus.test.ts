import { socketsOf } from '../../../runtime/linux/dbus/address.ts';
import { Reader, typesOf, type Value, Writer } from '../../../runtime/linux/dbus/marshal.ts';
import { decodeMessage, encodeCall, messageLength } from '../../../runtime/linux/dbus/message.ts';

test('a call is laid out as the specification has it', () => {
  const call = encodeCall(
    {
      destination: 'a.b',
      path: '/c',
      interface: 'd.e',
      member: 'F',
      signature: 'su',
      body: ['xyz', 258],
    },
    7,
  );
  const field = (code: number, type: string, text: string) => {
    const bytes = [code, 1, type.charCodeAt(0), 0, text.length, 0, 0, 0, ...Buffer.from(text), 0];
    return [...bytes, ...new Array(-bytes.length & 7).fill(0)];
  };
  const fields = [
    ...field(1, 'o', '/c'),
    ...field(2, 's', 'd.e'),
    ...field(3, 's', 'F'),
    ...field(6, 's', 'a.b'),
    // A signature has a length of one byte; the last field is not padded.
    ...[8, 1, 'g'.charCodeAt(0), 0, 2, ...Buffer.from('su'), 0],
  ];
  expect([...call]).toEqual([
    ...['l'.charCodeAt(0), 1, 0, 1, 12, 0, 0, 0, 7, 0, 0, 0, fields.length, 0, 0, 0],
    ...fields,
    ...new Array(-fields.length & 7).fill(0),
    ...[3, 0, 0, 0, ...Buffer.from('xyz'), 0, 2, 1, 0, 0],
  ]);
  expect(messageLength(call)).toBe(call.byteLength);
  expect(messageLength(call.subarray(0, 15))).toBeUndefined();
  const decoded = decodeMessage(call);
  expect(decoded).toMatchObject({ type: 'call', member: 'F' });
  expect(decoded.body()).toEqual(['xyz', 258]);
});

test.each<[string, Value]>([
  ['(ybnqiu)', [1, true, -2, 3, -4, 4294967295]],
  ['(yxtd)', [1, -5n, 2n ** 64n - 1n, 0.5]],
  ['(sog)', ['é', '/o', 'a(ss)']],
  ['as', []],
  ['(yat)', [1, [1n, 2n]]],
  ['a(sv)', [['x', { signature: 'a(ss)', value: [['y', 'z']] }]]],
  ['a{sv}', [['x', { signature: 'v', value: { signature: 'b', value: false } }]]],
  ['(ya(tt)y)', [1, [], 2]],
  ['s', 'long '.repeat(5000)],
])('%s comes back as it was', (type, value) => {
  const writer = new Writer();
  writer.write(type, value);
  expect(new Reader(writer.bytes).read(type)).toEqual(value);
});

test('signatures', () => {
  expect(typesOf('sa(sv)aa{s(ii)}t')).toEqual(['s', 'a(sv)', 'aa{s(ii)}', 't']);
  for (const wrong of ['a', '(s', '(', 'z', 's)', 'a}'])
    expect(() => typesOf(wrong)).toThrow(/no signature|no type/);
});

test('what is no message is told', () => {
  const bytes = new Uint8Array(16);
  expect(() => messageLength(bytes)).toThrow('no message of D-Bus');
});

test('addresses', () => {
  expect(socketsOf('')).toEqual([]);
  expect(socketsOf('unix:path=/run/a%20b,guid=0f;tcp:host=x;unix:abstract=n;unix:path=/c')).toEqual(
    ['/run/a b', '@n', '/c'],
  );
  expect(socketsOf('unix:runtime=yes', '/run/user/5')).toEqual(['/run/user/5/bus']);
  expect(socketsOf('unix:runtime=yes')).toEqual([]);
});
