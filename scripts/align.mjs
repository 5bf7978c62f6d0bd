/**
 * Moves the segments of an executable in its file so that the kernel can map them by huge pages.
 *
 * A page of the page cache is mapped by a huge page only where its offset in the file and its address
 * in memory have the same remainder. The linker that made the engine has not seen to that. Its
 * addresses are fixed, so the file has to follow: each segment comes some pages later in it.
 * docs/decisions/start-cost.md has what it saves.
 */

/** Bytes of a huge page on x86-64. */
const HUGE = 0x200000n;

/** ELF, of 64 bits, little-endian. */
const MAGIC = '\x7fELF\x02\x01';
const EM_X86_64 = 62;
const PT_LOAD = 1;

/** Where fields are (elf(5): Elf64_Ehdr, Elf64_Phdr, Elf64_Shdr), in bytes. */
const HEADER = {
  machine: 18,
  programs: 32,
  sections: 40,
  programSize: 54,
  programCount: 56,
  sectionSize: 58,
  sectionCount: 60,
};
const PROGRAM = { type: 0, offset: 8, address: 16 };
const SECTION = { offset: 24 };

/**
 * @param elf an executable for x86-64, little-endian, with its segments in the order of their offsets
 * @returns the same with each loaded segment at an offset that is its address, modulo 2 MB
 * @throws Error when it is not such a file, or its headers would have to move
 */
export function aligned(elf) {
  const magic = elf.toString('latin1', 0, MAGIC.length);
  if (magic !== MAGIC || elf.readUInt16LE(HEADER.machine) !== EM_X86_64)
    throw new Error('not an ELF file for x86-64');
  const number = (at) => Number(elf.readBigUInt64LE(at));
  const programs = table(number(HEADER.programs), elf, HEADER.programSize, HEADER.programCount);
  const sections = table(number(HEADER.sections), elf, HEADER.sectionSize, HEADER.sectionCount);
  const parts = segments(elf, programs);
  if (parts[0]?.start !== 0 || parts[0].shift !== 0)
    throw new Error('the segment with the headers is not where it could stay');
  if (parts.some(({ start }, i) => i > 0 && start <= parts[i - 1].start))
    throw new Error('the segments are in another order than in the file');
  const moved = (offset) => offset + parts.findLast(({ start }) => start <= offset).shift;

  const out = Buffer.alloc(elf.length + parts.at(-1).shift);
  for (const [i, { start }] of parts.entries())
    elf.copy(out, moved(start), start, parts[i + 1]?.start ?? elf.length);
  const offsets = [
    HEADER.sections,
    ...programs.map((at) => at + PROGRAM.offset),
    ...sections.map((at) => at + SECTION.offset),
  ];
  for (const at of offsets) out.writeBigUInt64LE(BigInt(moved(number(at))), moved(at));
  return out;
}

/** @returns where the entries of a table are in the file */
function table(start, elf, size, count) {
  const step = elf.readUInt16LE(size);
  return Array.from({ length: elf.readUInt16LE(count) }, (_, i) => start + i * step);
}

/** @returns where each loaded segment starts in the file, and by how many bytes it has to move */
function segments(elf, programs) {
  let shift = 0n;
  return programs
    .filter((at) => elf.readUInt32LE(at + PROGRAM.type) === PT_LOAD)
    .map((at) => {
      const offset = elf.readBigUInt64LE(at + PROGRAM.offset);
      const address = elf.readBigUInt64LE(at + PROGRAM.address);
      shift += BigInt.asUintN(64, address - offset - shift) % HUGE;
      return { start: Number(offset), shift: Number(shift) };
    });
}
