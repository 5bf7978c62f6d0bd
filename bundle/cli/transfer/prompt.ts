import { StringDecoder } from 'node:string_decoder';
import { tell } from '../output.ts';

const [INTERRUPT, END, BACKSPACE, DELETE] = ['\x03', '\x04', '\b', '\x7f'];

/**
 * Asks on the terminal for a line.
 *
 * @param visible whether it is shown while it is typed
 * @throws Error when Ctrl-C or Ctrl-D comes instead
 */
export async function ask(question: string, visible: boolean): Promise<string> {
  const { stdin } = process;
  // Whoever sees the question may answer: what is typed must not be shown by then.
  stdin.setRawMode(true);
  tell(question);
  stdin.resume();
  try {
    return await readLine(visible);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    tell('\n');
  }
}

function readLine(visible: boolean): Promise<string> {
  const { stdin } = process;
  const decoder = new StringDecoder('utf8');
  let line: string[] = [];
  return new Promise((resolve, reject) => {
    const end = (finish: () => void) => {
      stdin.off('data', hear);
      finish();
    };
    const hear = (bytes: Buffer) => {
      for (const key of decoder.write(bytes)) {
        if (key === '\r' || key === '\n') return end(() => resolve(line.join('')));
        if (key === INTERRUPT || key === END)
          return end(() => reject(new Error('nothing was entered')));
        if (key === BACKSPACE || key === DELETE) {
          if (visible && line.length > 0) tell('\b \b');
          line = line.slice(0, -1);
          continue;
        }
        line.push(key);
        if (visible) tell(key);
      }
    };
    stdin.on('data', hear);
  });
}
