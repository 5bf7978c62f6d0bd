/**
 * Writes static executables of two segments (System V gABI, chapters 4 and 5; elf(5)).
 *
 * The file is headers, data, text, with no padding between them beyond 16 bytes, so that a
 * program of a few hundred instructions stays a file of a few KiB. A segment's address must be
 * congruent to its offset in the file, modulo the page size of whatever kernel loads it (up to
 * 64 KiB). Data lies first because its offset is then a constant, and with it its address: code
 * that names data can be assembled before the size of either is known. Code names places in
 * the text by relative jumps only, and so may lie wherever the data ends.
 */

/** Text begins in the first 64 KiB from here: this address plus its file offset modulo 64 KiB. */
export const TEXT_BASE = 0x400000;

const DATA_SEGMENT = 0x600000;
const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const PROGRAM_HEADERS = 3;

/** The file offset of the data: the headers (232 bytes), rounded up to a cache line. */
const DATA_OFFSET = 0x100;

/** The address of the first byte of the data; the bss follows the last. */
export const DATA_BASE = DATA_SEGMENT + DATA_OFFSET;

/** The largest page size of the architectures that Linux runs on (arm64, ppc64). */
const ALIGNMENT = 0x10000;

/** Addresses are kept below 2 GiB, where an instruction can hold them as a 32-bit constant. */
const END_OF_ADDRESSES = 0x80000000;

const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const PF_X = 1;
const PF_W = 2;
const PF_R = 4;
const ET_EXEC = 2;
const EM_X86_64 = 62;

/** What an executable file is made of. */
export interface Program {
  readonly text: Uint8Array;
  readonly data: Uint8Array;
  /** Zeroed bytes that follow the data in memory and take no room in the file. */
  readonly bssSize: number;
  /** Offset in the text of the first instruction; 0 when absent. */
  readonly entry?: number;
}

/**
 * Makes an executable file.
 *
 * @returns the bytes of a static x86-64 ELF file: headers and data at {@link DATA_BASE} (readable,
 *   writable), text (readable, executable), a stack that is not executable, no section headers
 * @throws RangeError when the text reaches the data's address, data or bss end above 2 GiB, or
 *   the entry lies outside of the text
 */
export function writeElf({ text, data, bssSize, entry = 0 }: Program): Uint8Array {
  const dataEnd = DATA_OFFSET + data.length;
  const textOffset = Math.ceil(dataEnd / 16) * 16;
  const textAddress = TEXT_BASE + (textOffset % ALIGNMENT);
  if (textAddress + text.length > DATA_SEGMENT) {
    throw new RangeError(
      `${text.length} bytes of text exceed the room from ${hex(textAddress)} to ${hex(DATA_SEGMENT)}`,
    );
  }
  if (bssSize < 0 || DATA_SEGMENT + dataEnd + bssSize > END_OF_ADDRESSES) {
    throw new RangeError(
      `${data.length} bytes of data and ${bssSize} of bss don't end below ${hex(END_OF_ADDRESSES)}`,
    );
  }
  if (entry < 0 || entry >= text.length) {
    throw new RangeError(`the entry ${hex(entry)} is outside of the text`);
  }
  const file = new Uint8Array(textOffset + text.length);
  const view = new DataView(file.buffer);
  writeFileHeader(view, textAddress + entry);
  // Segments are listed by ascending address, as the gABI wants.
  writeLoadSegment(view, 0, {
    flags: PF_R | PF_X,
    offset: textOffset,
    address: textAddress,
    fileSize: text.length,
    memorySize: text.length,
  });
  // Headers are part of the data segment: a segment without file content (no data, only bss)
  // would not get its first page from every kernel.
  writeLoadSegment(view, 1, {
    flags: PF_R | PF_W,
    offset: 0,
    address: DATA_SEGMENT,
    fileSize: dataEnd,
    memorySize: dataEnd + bssSize,
  });
  const stack = HEADER_SIZE + 2 * PROGRAM_HEADER_SIZE;
  view.setUint32(stack, PT_GNU_STACK, true);
  view.setUint32(stack + 4, PF_R | PF_W, true);
  view.setBigUint64(stack + 48, 16n, true);
  file.set(data, DATA_OFFSET);
  file.set(text, textOffset);
  return file;
}

function writeFileHeader(view: DataView, entry: number): void {
  const identification = [0x7f, 0x45, 0x4c, 0x46, 2 /* 64-bit */, 1 /* little-endian */, 1];
  for (const [i, byte] of identification.entries()) view.setUint8(i, byte);
  view.setUint16(16, ET_EXEC, true);
  view.setUint16(18, EM_X86_64, true);
  view.setUint32(20, 1, true); // e_version
  view.setBigUint64(24, BigInt(entry), true);
  view.setBigUint64(32, BigInt(HEADER_SIZE), true); // e_phoff
  view.setUint16(52, HEADER_SIZE, true); // e_ehsize
  view.setUint16(54, PROGRAM_HEADER_SIZE, true);
  view.setUint16(56, PROGRAM_HEADERS, true);
}

interface Segment {
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
}

function writeLoadSegment(view: DataView, index: number, segment: Segment): void {
  const header = HEADER_SIZE + index * PROGRAM_HEADER_SIZE;
  view.setUint32(header, PT_LOAD, true);
  view.setUint32(header + 4, segment.flags, true);
  view.setBigUint64(header + 8, BigInt(segment.offset), true);
  view.setBigUint64(header + 16, BigInt(segment.address), true); // p_vaddr
  view.setBigUint64(header + 24, BigInt(segment.address), true); // p_paddr
  view.setBigUint64(header + 32, BigInt(segment.fileSize), true);
  view.setBigUint64(header + 40, BigInt(segment.memorySize), true);
  view.setBigUint64(header + 48, BigInt(ALIGNMENT), true);
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
