import { print } from '../../runtime/linux/output.ts';
import { writeMessage } from './output.ts';

/**
 * Runs one scow-bundle command and ends the process with its exit status: 1 when it failed, with
 * one line on standard error that says why.
 *
 * @param args the command line without the program's name
 */
export async function main(args: readonly string[]): Promise<void> {
  const fail = (error: unknown) => {
    writeMessage(error instanceof Error ? error.message : String(error));
    process.exit(1);
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  try {
    process.exit(await execute(args));
  } catch (error) {
    fail(error);
  }
}

async function execute(args: readonly string[]): Promise<number> {
  const { parse } = await import('./parse.ts');
  const request = await parse(args);
  if ('print' in request) {
    print(request.print);
    return 0;
  }
  const { userNamespace } = request.command;
  const module = await request.command.load();
  if (userNamespace !== undefined && process.geteuid?.() !== 0) {
    const { enterUserNamespace } = await import('../run/user-namespace.ts');
    const before = () => module.before?.(request.input);
    const status = await enterUserNamespace(args, userNamespace === 'run', before);
    if (status !== undefined) return status;
  }
  return module.run(request.input);
}
