import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PHOFF = 32;
const PHNUM = 56;
const PHENTSIZE = 56;
const PT_LOAD = 1;
const PF_X = 1;

/** The executable segment of an x86-64 ELF file (elf(5)). */
export function textOf(elf: Uint8Array): { bytes: Uint8Array; address: number } {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  const headers = Number(view.getBigUint64(PHOFF, true));
  for (let i = 0; i < view.getUint16(PHNUM, true); i++) {
    const header = headers + i * PHENTSIZE;
    if (view.getUint32(header, true) !== PT_LOAD) continue;
    if ((view.getUint32(header + 4, true) & PF_X) === 0) continue;
    const offset = Number(view.getBigUint64(header + 8, true));
    const size = Number(view.getBigUint64(header + 32, true));
    return {
      bytes: elf.subarray(offset, offset + size),
      address: Number(view.getBigUint64(header + 16, true)),
    };
  }
  throw new Error('the file has no executable segment');
}

/**
 * The instructions of an ELF file's text, as objdump reads them, in Intel's spelling. A jump names
 * its target by the number of the instruction: `jb #13`.
 *
 * @throws Error for a jump that leads between instructions
 */
export function disassemble(elf: Uint8Array): string[] {
  const { bytes, address } = textOf(elf);
  const lines = [...dump(bytes, address).matchAll(/^ *([0-9a-f]+):\t(.*)$/gm)];
  const numbers = new Map(lines.map(([, at], i) => [Number.parseInt(at as string, 16), i]));
  return lines.map(([, , text]) =>
    (text as string)
      .trim()
      .replace(/\s+/g, ' ')
      .replace(/^(j\w+|call) 0x([0-9a-f]+)$/, (jump, name, target) => {
        const number = numbers.get(Number.parseInt(target, 16));
        if (number === undefined) throw new Error(`${jump} leads to no instruction`);
        return `${name} #${number}`;
      }),
  );
}

function dump(text: Uint8Array, address: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'scow-disassemble-'));
  try {
    const file = join(folder, 'text');
    writeFileSync(file, text);
    return execFileSync(
      'objdump',
      [
        '--disassemble-all',
        '--target=binary',
        '--architecture=i386:x86-64',
        '--disassembler-options=intel',
        '--no-show-raw-insn',
        `--adjust-vma=${address}`,
        file,
      ],
      { encoding: 'utf8', maxBuffer: 1 << 26 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}
