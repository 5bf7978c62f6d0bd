import { type CheckStep, call, place, type Step } from '../../../runtime/plan/step.ts';
import { EXIT, InitProgram, ORIGIN, runSteps, say } from '../../helpers/init-program.ts';

describe('check', () => {
  const at = place('bytes', 16);
  const fill: Step[] = [
    {
      kind: 'report',
      point: 'fill',
      answer: { into: at },
      ...ORIGIN,
    },
  ];
  const BYTES = Buffer.from('112233445566778899aabbccddeeff80', 'hex');

  function holds(
    check: Pick<CheckStep, 'offset' | 'width' | 'equals'> & { mask?: number },
  ): boolean {
    const program = new InitProgram([
      ...fill,
      { kind: 'check', at, errno: 'EBADE', ...check, ...ORIGIN },
      EXIT,
    ]);
    try {
      program.reached('fill');
      program.answer(BYTES);
      const { failed, status } = program.finish();
      expect([0, 1]).toContain(status);
      expect(failed).toBe(status === 0 ? undefined : '2 EBADE');
      return status === 0;
    } finally {
      program.close();
    }
  }

  test.each([
    [{ offset: 0, width: 1, equals: 0x11 }, true],
    [{ offset: 0, width: 1, equals: 0x12 }, false],
    [{ offset: 15, width: 1, equals: 0x80 }, true],
    [{ offset: 14, width: 1, equals: 0xff }, true],
    [{ offset: 14, width: 2, equals: 0x80ff }, true],
    [{ offset: 1, width: 2, equals: 0x3322 }, true],
    [{ offset: 1, width: 2, equals: 0x443322 }, false],
    [{ offset: 0, width: 4, equals: 0x44332211 }, true],
    [{ offset: 12, width: 4, equals: 0x80ffeedd }, true],
    [{ offset: 12, width: 4, equals: 0x00ffeedd }, false],
    [{ offset: 8, width: 4, equals: 0xccbbaa99 }, true],
    [{ offset: 0, width: 1, equals: 0x10, mask: 0xf0 }, true],
    [{ offset: 0, width: 1, equals: 0x01, mask: 0xf0 }, false],
    [{ offset: 0, width: 2, equals: 0x2000, mask: 0xf000 }, true],
    [{ offset: 8, width: 4, equals: 0x80000000, mask: 0x80000000 }, true],
    [{ offset: 0, width: 4, equals: 0x80000000, mask: 0x80000000 }, false],
    [{ offset: 0, width: 4, equals: 0, mask: 0x88000000 }, true],
    // A mask reaches no further than the width.
    [{ offset: 0, width: 1, equals: 0x11, mask: 0xffffffff }, true],
    [{ offset: 0, width: 2, equals: 0x2211, mask: 0xffff }, true],
  ] as const)('%p: %p', (check, expected) => {
    expect(holds(check)).toBe(expected);
  });

  test.each([1, 2, 4] as const)('the last %i bytes of all memory can be looked at', (width) => {
    const page = place('page', 4096);
    // Sized so that the place ends where a page of memory does, whatever lies before it.
    for (let size = 4096 - 512; size <= 4096; size += 32) {
      const before = place('before', size);
      const outcome = runSteps([
        say('begins'),
        call('getcwd', [before, 1], { ...ORIGIN, tolerate: ['ERANGE'] }),
        {
          kind: 'check',
          at: page,
          offset: page.size - width,
          width,
          equals: 0,
          errno: 'EBADE',
          ...ORIGIN,
        },
        EXIT,
      ]);
      expect(outcome).toMatchObject({ status: 0 });
    }
  });
});
