import { expandSlice, unitOf } from '../../../../runtime/cgroups/systemd/unit.ts';

const at = (cgroupsPath?: string, id = 'c1') =>
  unitOf({ id, cgroupsPath, defaultSlice: 'system.slice' });

test('slice:prefix:name is a scope in the directories of its slice', () => {
  expect(at('machine.slice:libpod:web')).toEqual({
    name: 'libpod-web.scope',
    slice: 'machine.slice',
    path: '/machine.slice/libpod-web.scope',
  });
  expect(at('a-b-c.slice:x:y').path).toBe('/a.slice/a-b.slice/a-b-c.slice/x-y.scope');
  expect(at('-.slice:x:y')).toEqual({ name: 'x-y.scope', slice: '-.slice', path: '/x-y.scope' });
});

test('what is left out is as with runc', () => {
  expect(at(':x:y')).toMatchObject({ slice: 'system.slice', path: '/system.slice/x-y.scope' });
  expect(at('a.slice::y').name).toBe('-y.scope');
  for (const nothing of [undefined, ''])
    expect(at(nothing)).toEqual({
      name: 'scow-c1.scope',
      slice: 'system.slice',
      path: '/system.slice/scow-c1.scope',
    });
});

test('characters of an ID that no unit may have are escaped as systemd-escape does', () => {
  expect(at(undefined, 'a+b,c').name).toBe('scow-a\\x2bb\\x2cc.scope');
});

test.each([
  ['/a/b', /slice:prefix:name/],
  ['a.slice:b', /slice:prefix:name/],
  ['a.slice:b:c:d', /slice:prefix:name/],
  ['a.slice:b:', /the name, after the second colon, is missing/],
  ['a.slice:b:c.slice', /a slice holds other units and no processes/],
  ['a:b:c', /"a" is no slice/],
  ['.slice:b:c', /".slice" is no slice/],
  ['-a.slice:b:c', /"-a.slice" is no slice/],
  ['a--b.slice:b:c', /"a--b.slice" is no slice/],
  ['a/b.slice:b:c', /"a\/b.slice" is no slice/],
  ['a.slice:b:c/d', /"b-c\/d.scope" is no name of a unit/],
  ['a.slice:b:ü', /"b-ü.scope" is no name of a unit/],
  [`a.slice:b:${'c'.repeat(250)}`, /is no name of a unit: it has up to 255/],
])('%s is refused', (path, why) => {
  expect(() => at(path)).toThrow(why);
  expect(() => at(path)).toThrow(/^linux\.cgroupsPath .* {2}\[\/linux\/cgroupsPath\]$/);
});

test('a slice has the names of the slices that it is in', () => {
  expect(expandSlice('a-b.slice')).toEqual(['a.slice', 'a-b.slice']);
  expect(expandSlice('-.slice')).toEqual([]);
  expect(expandSlice('a.service')).toBeUndefined();
});
