import { CFLAG, IFLAG, LFLAG, OFLAG, TIO } from '../../linux/constants.ts';
import { trySyscall } from '../../linux/syscall.ts';

/** A terminal's settings: the kernel's `struct termios` (asm-generic/termbits.h). */
export type Termios = Uint8Array;

const TERMIOS = { iflag: 0, oflag: 4, cflag: 8, lflag: 12, cc: 17, size: 36 } as const;
/** Places in c_cc, termios(3). */
const VTIME = 5;
const VMIN = 6;

/** @returns the settings of the terminal at `fd`, or undefined when it is no terminal */
export function readTermios(fd: number): Termios | undefined {
  const termios = new Uint8Array(new ArrayBuffer(TERMIOS.size));
  return trySyscall('ioctl', fd, TIO.TCGETS, termios) < 0 ? undefined : termios;
}

/** Changes a terminal's settings at once; a terminal that has hung up is left alone. */
export function writeTermios(fd: number, termios: Termios): void {
  trySyscall('ioctl', fd, TIO.TCSETS, termios);
}

function changed(termios: Termios, change: (view: DataView) => void): Termios {
  const copy = new Uint8Array(termios);
  change(new DataView(copy.buffer));
  return copy;
}

function clear(view: DataView, offset: number, flags: number): void {
  view.setUint32(offset, view.getUint32(offset, true) & ~flags, true);
}

/**
 * The settings for a terminal that hands every key to its reader and changes nothing:
 * `cfmakeraw` of termios(3).
 *
 * @param output what is written shall pass unchanged too
 */
export function rawTermios(termios: Termios, output: boolean): Termios {
  return changed(termios, (view) => {
    const { IGNBRK, BRKINT, PARMRK, ISTRIP, INLCR, IGNCR, ICRNL, IXON } = IFLAG;
    clear(view, TERMIOS.iflag, IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    if (output) clear(view, TERMIOS.oflag, OFLAG.OPOST);
    const { ECHO, ECHONL, ICANON, ISIG, IEXTEN } = LFLAG;
    clear(view, TERMIOS.lflag, ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    clear(view, TERMIOS.cflag, CFLAG.CSIZE | CFLAG.PARENB);
    view.setUint32(TERMIOS.cflag, view.getUint32(TERMIOS.cflag, true) | CFLAG.CS8, true);
    view.setUint8(TERMIOS.cc + VMIN, 1);
    view.setUint8(TERMIOS.cc + VTIME, 0);
  });
}

/** The settings for a terminal that leaves line ends as its programs write them. */
export function plainLineEnds(termios: Termios): Termios {
  return changed(termios, (view) => clear(view, TERMIOS.oflag, OFLAG.ONLCR));
}
