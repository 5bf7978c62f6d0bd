import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A private authority, and what it signed for 127.0.0.1 and localhost. */
export interface Authority {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** For clients that have to say who they are. */
  readonly clientCert: string;
  readonly clientKey: string;
}

/** Makes certificates in a directory. @returns the paths of the files */
export function makeAuthority(directory: string): Authority {
  mkdirSync(directory, { recursive: true });
  const file = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: directory, encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
  };
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...curve,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-subj',
    '/CN=scow test',
  );
  writeFileSync(file('names'), 'subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1');
  for (const name of ['server', 'client']) {
    openssl(
      'req',
      ...curve,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    );
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key'],
      ...['-CAcreateserial', '-out', `${name}.crt`, '-extfile', 'names'],
    );
  }
  return {
    ca: file('ca.crt'),
    cert: file('server.crt'),
    key: file('server.key'),
    clientCert: file('client.crt'),
    clientKey: file('client.key'),
  };
}

/** Debian's docker-registry, running. */
export class DockerRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly #process: ChildProcess;

  private constructor(host: string, process: ChildProcess) {
    this.host = host;
    this.#process = process;
  }

  /** @param options of its configuration */
  static async start(
    directory: string,
    options: {
      readonly users?: Record<string, string>;
      readonly tls?: Authority;
      /** The URL of the server that gives tokens. */
      readonly realm?: string;
    } = {},
  ): Promise<DockerRegistry> {
    mkdirSync(directory, { recursive: true });
    const host = `127.0.0.1:${await freePort()}`;
    const config: Record<string, unknown> = {
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, 'data') } },
      http: {
        addr: host,
        ...(options.tls && { tls: { certificate: options.tls.cert, key: options.tls.key } }),
      },
    };
    if (options.users !== undefined) {
      const path = join(directory, 'htpasswd');
      const lines = Object.entries(options.users).map(([user, password]) => {
        const { stdout } = spawnSync('htpasswd', ['-Bbn', user, password], { encoding: 'utf8' });
        return stdout.trim();
      });
      writeFileSync(path, `${lines.join('\n')}\n`);
      config.auth = { htpasswd: { realm: 'test', path } };
    }
    if (options.realm !== undefined && options.tls !== undefined)
      config.auth = {
        token: {
          realm: options.realm,
          service: 'test',
          issuer: 'test',
          rootcertbundle: options.tls.ca,
        },
      };
    const file = join(directory, 'config.json');
    writeFileSync(file, JSON.stringify(config));
    const child = spawn('docker-registry', ['serve', file], { stdio: 'ignore' });
    let failed: Error | undefined;
    child.once('error', (error) => {
      failed = error;
    });
    const port = Number(host.split(':')[1]);
    while (!(await answers(port))) {
      if (failed !== undefined) throw failed;
      if (child.exitCode !== null) throw new Error(`docker-registry ended: ${child.exitCode}`);
      await sleep(20);
    }
    return new DockerRegistry(host, child);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const end = once(this.#process, 'exit');
    this.#process.kill();
    await end;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
