import {
  allowsEverything,
  DEFAULT_DEVICE_RULES,
  deviceProgram,
} from '../../../runtime/cgroups/devices.ts';
import type { DeviceRule } from '../../../schemas/runtime-config.ts';
import { interpret, isAllowed, REQUESTS, randomRules, seededRandom } from './oracle.ts';

const denyAll: DeviceRule = { allow: false, access: 'rwm' };
const allowAll: DeviceRule = { allow: true, type: 'a', access: 'rwm' };

function verdict(rules: readonly DeviceRule[], device: string): boolean {
  const [type, major, minor, access] = device.split(/[ :]/) as ['b' | 'c', string, string, string];
  const request = { type, major: Number(major), minor: Number(minor), access };
  return interpret(deviceProgram(rules), request) === 1;
}

test('a list of no rules denies everything', () => {
  expect(verdict([], 'c 1:3 r')).toBe(false);
  expect(verdict([], 'b 8:0 m')).toBe(false);
});

test('the default devices, and mknod of any, are allowed after a rule that denies all', () => {
  const rules = [denyAll, ...DEFAULT_DEVICE_RULES];
  for (const device of ['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:2', '136:77', '10:200'])
    expect(verdict(rules, `c ${device} rwm`)).toBe(true);
  expect(verdict(rules, 'b 8:0 m')).toBe(true);
  expect(verdict(rules, 'b 8:0 r')).toBe(false);
  expect(verdict(rules, 'c 1:1 r')).toBe(false);
  expect(verdict(rules, 'c 1:1 m')).toBe(true);
});

test('the last rule that covers a device decides', () => {
  const loop: DeviceRule = { allow: true, type: 'b', major: 7, access: 'rw' };
  const noLoop: DeviceRule = { allow: false, type: 'b', major: 7, minor: 1, access: 'w' };
  expect(verdict([loop, noLoop], 'b 7:1 w')).toBe(false);
  expect(verdict([loop, noLoop], 'b 7:1 r')).toBe(true);
  expect(verdict([loop, noLoop], 'b 7:0 w')).toBe(true);
  expect(verdict([noLoop, loop], 'b 7:1 w')).toBe(true);
  expect(verdict([loop, denyAll], 'b 7:0 r')).toBe(false);
});

test('a denied write denies opening for reading and writing too', () => {
  const rules = [allowAll, { allow: false, type: 'c', major: 1, access: 'w' } as const];
  expect(verdict(rules, 'c 1:3 rw')).toBe(false);
  expect(verdict(rules, 'c 1:3 r')).toBe(true);
});

test('accesses that rules allow one by one are allowed together', () => {
  const one = (access: string): DeviceRule => ({ allow: true, type: 'c', major: 1, access });
  expect(verdict([one('r'), one('w')], 'c 1:3 rw')).toBe(true);
});

test('device numbers use all 32 bits', () => {
  const rules: DeviceRule[] = [
    { allow: true, type: 'c', major: 0xffffffff, minor: 0x80000000, access: 'r' },
  ];
  expect(verdict(rules, `c ${0xffffffff}:${0x80000000} r`)).toBe(true);
  expect(verdict(rules, `c ${0xffffffff}:0 r`)).toBe(false);
  expect(verdict(rules, `c ${0x7fffffff}:${0x80000000} r`)).toBe(false);
});

test('2,000 random lists of rules give the verdicts that applying them in order gives', () => {
  const random = seededRandom(2);
  for (let i = 0; i < 2000; i++) {
    const rules = randomRules(random);
    const program = deviceProgram(rules);
    const wrong = REQUESTS.filter(
      (request) => (interpret(program, request) === 1) !== isAllowed(rules, request),
    );
    expect({ rules, wrong }).toEqual({ rules, wrong: [] });
  }
});

test('a list that no filter can hold is refused in one line', () => {
  const rules = Array.from(
    { length: 20_000 },
    (_, minor): DeviceRule => ({ allow: true, type: 'c', major: 1, minor, access: 'rw' }),
  );
  expect(() => deviceProgram(rules)).toThrow(/^linux\.resources\.devices has more rules/);
});

test('rules that deny nothing are known, and then no request is denied', () => {
  expect(allowsEverything([denyAll, allowAll, ...DEFAULT_DEVICE_RULES])).toBe(true);
  expect(allowsEverything([allowAll, denyAll])).toBe(false);
  expect(allowsEverything([allowAll, { allow: false, type: 'c', access: 'w' }])).toBe(false);
  expect(allowsEverything(DEFAULT_DEVICE_RULES)).toBe(false);
  expect(allowsEverything([])).toBe(false);
  const random = seededRandom(3);
  for (let i = 0; i < 2000; i++) {
    const rules = randomRules(random);
    if (allowsEverything(rules))
      expect(REQUESTS.every((request) => isAllowed(rules, request))).toBe(true);
  }
});
