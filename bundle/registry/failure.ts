import { codeOf, reason } from '../../runtime/linux/reason.ts';
import { RegistryError } from './error.ts';
import { type HttpResponse, readText } from './http.ts';

/** Characters of what a registry says for itself: enough for a sentence, not for a page. */
const MOST_WORDS = 300;

/**
 * The error for an answer that nobody wanted: host, request, status, and what the registry says
 * for itself. Takes the answer's body.
 *
 * @param hint what to do about it
 */
export async function refusal(
  response: HttpResponse,
  { host, hint = '' }: { readonly host: string; readonly hint?: string },
): Promise<RegistryError> {
  const { status, statusText, method, url } = response;
  const words = wordsOf(await readText(response).catch(() => ''));
  const transient = status === 408 || status === 429 || status >= 500;
  return new RegistryError(
    `${host} answered ${[status, statusText].join(' ').trim()} to ${method} ${url.pathname}${words === '' ? '' : `: ${words}`}${hint}`,
    // What is not implemented will not be at the next attempt.
    { status, transient: transient && status !== 501, wait: retryAfter(response) },
  );
}

/** The error for a connection that could not be made, or broke. */
export function networkFailure(error: unknown, url: URL, insecure: boolean): RegistryError {
  if (error instanceof RegistryError) return error;
  const code = codeOf(error) ?? '';
  const { host } = url;
  const fail = (message: string, transient = false) =>
    new RegistryError(message, { transient, cause: error });
  if (code === 'ENOTFOUND') return fail(`${host}: there is no host of this name (DNS: ${code})`);
  if (code === 'EAI_AGAIN')
    return fail(`${host}: the name cannot be resolved now (DNS: ${code})`, true);
  if (code === 'ECONNREFUSED')
    return fail(`${host}: connection refused: nothing listens there (${code})`);
  if (isPlain(error))
    return fail(
      `${host}: no TLS: it may speak plain HTTP${insecure ? '' : ', which --insecure allows'}`,
    );
  const certificate = certificateFailure(code, url);
  if (certificate !== undefined) return fail(certificate);
  if (/^ERR_(?:TLS|SSL|OSSL)_/.test(code) || /\bSSL\b|\bTLS\b/i.test(reason(error)))
    return fail(`${host}: TLS failed: ${oneLine(reason(error))}`);
  return fail(`${host}: the connection was lost: ${oneLine(reason(error))}`, true);
}

/** Whether the other side does not speak TLS. */
export function isPlain(error: unknown): boolean {
  return /wrong.version.number|packet length too long|http.request/i.test(
    `${codeOf(error)} ${(error as Error).message}`,
  );
}

const UNKNOWN_AUTHORITY = [
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];

function certificateFailure(code: string, { host }: URL): string | undefined {
  if (UNKNOWN_AUTHORITY.includes(code))
    return `${host}: its certificate is signed by an authority that this machine does not know (${code}): put the authority's certificate into /etc/containers/certs.d/${host}/ca.crt`;
  if (code === 'CERT_HAS_EXPIRED') return `${host}: its certificate has expired (${code})`;
  if (code === 'CERT_NOT_YET_VALID')
    return `${host}: its certificate is not valid yet (${code}): is this machine's clock right?`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `${host}: its certificate is for another host (${code})`;
  return undefined;
}

/** What a registry says for itself (distribution-spec, Error Codes), or what else it sent. */
export function wordsOf(body: string): string {
  try {
    const parsed = JSON.parse(body) as {
      errors?: readonly { code?: unknown; message?: unknown; detail?: unknown }[];
      message?: unknown;
      details?: unknown;
      error?: unknown;
      error_description?: unknown;
    } | null;
    const said = parsed?.errors?.map(({ code, message }) => message || code) ?? [
      parsed?.details ?? parsed?.error_description ?? parsed?.message ?? parsed?.error,
    ];
    return oneLine(said.filter((part) => typeof part === 'string').join('; '));
  } catch {
    // A page for people who use a browser.
    return /^\s*</.test(body) ? '' : oneLine(body);
  }
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MOST_WORDS ? `${line.slice(0, MOST_WORDS)}…` : line;
}

/** RFC 9110, 10.2.3: seconds, or a date. @returns milliseconds */
function retryAfter({ headers }: HttpResponse): number | undefined {
  const value = headers['retry-after'];
  if (value === undefined) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}
