/**
 * node cri.mjs SOCKET: a client of the Container Runtime Interface of Kubernetes, for scripts. Reads lines
 * `METHOD JSON` and answers each with one line: the response as JSON, or `error: …`.
 *
 * It speaks gRPC over node:http2 and knows the messages and fields that the scenarios need, by the names
 * and numbers of https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto.
 */
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { argv, stdin } from 'node:process';
import { createInterface } from 'node:readline';

/** Fields of messages: number and type. Types in brackets are repeated. */
const MESSAGES = {
  RunPodSandboxRequest: { config: [1, 'PodSandboxConfig'], runtime_handler: [2, 'string'] },
  RunPodSandboxResponse: { pod_sandbox_id: [1, 'string'] },
  StopPodSandboxRequest: { pod_sandbox_id: [1, 'string'] },
  RemovePodSandboxRequest: { pod_sandbox_id: [1, 'string'] },
  PodSandboxConfig: {
    metadata: [1, 'Metadata'],
    hostname: [2, 'string'],
    log_directory: [3, 'string'],
    linux: [8, 'LinuxPodSandboxConfig'],
  },
  Metadata: { name: [1, 'string'], uid: [2, 'string'], namespace: [3, 'string'] },
  LinuxPodSandboxConfig: {
    cgroup_parent: [1, 'string'],
    security_context: [2, 'LinuxSandboxSecurityContext'],
  },
  LinuxSandboxSecurityContext: {
    namespace_options: [1, 'NamespaceOption'],
    privileged: [6, 'bool'],
    seccomp: [9, 'SecurityProfile'],
  },
  NamespaceOption: {
    network: [1, 'int'],
    pid: [2, 'int'],
    ipc: [3, 'int'],
    target_id: [4, 'string'],
  },
  SecurityProfile: { profile_type: [1, 'int'] },
  CreateContainerRequest: {
    pod_sandbox_id: [1, 'string'],
    config: [2, 'ContainerConfig'],
    sandbox_config: [3, 'PodSandboxConfig'],
  },
  CreateContainerResponse: { container_id: [1, 'string'] },
  ContainerConfig: {
    metadata: [1, 'Metadata'],
    image: [2, 'ImageSpec'],
    command: [3, ['string']],
    working_dir: [5, 'string'],
    envs: [6, ['KeyValue']],
    mounts: [7, ['Mount']],
    log_path: [11, 'string'],
    linux: [15, 'LinuxContainerConfig'],
  },
  ImageSpec: { image: [1, 'string'] },
  KeyValue: { key: [1, 'string'], value: [2, 'string'] },
  Mount: { container_path: [1, 'string'], host_path: [2, 'string'], readonly: [3, 'bool'] },
  LinuxContainerConfig: {
    resources: [1, 'LinuxContainerResources'],
    security_context: [2, 'LinuxContainerSecurityContext'],
  },
  LinuxContainerResources: {
    cpu_period: [1, 'int'],
    cpu_quota: [2, 'int'],
    cpu_shares: [3, 'int'],
    memory_limit_in_bytes: [4, 'int'],
    oom_score_adj: [5, 'int'],
    cpuset_cpus: [6, 'string'],
  },
  LinuxContainerSecurityContext: {
    capabilities: [1, 'Capability'],
    namespace_options: [3, 'NamespaceOption'],
    run_as_user: [5, 'Int64Value'],
    readonly_rootfs: [7, 'bool'],
    supplemental_groups: [8, ['int']],
    no_new_privs: [11, 'bool'],
    masked_paths: [13, ['string']],
    readonly_paths: [14, ['string']],
    seccomp: [15, 'SecurityProfile'],
  },
  Capability: { add_capabilities: [1, ['string']], drop_capabilities: [2, ['string']] },
  Int64Value: { value: [1, 'int'] },
  StartContainerRequest: { container_id: [1, 'string'] },
  StopContainerRequest: { container_id: [1, 'string'], timeout: [2, 'int'] },
  RemoveContainerRequest: { container_id: [1, 'string'] },
  ContainerStatusRequest: { container_id: [1, 'string'] },
  ContainerStatusResponse: { status: [1, 'ContainerStatus'] },
  ContainerStatus: { state: [3, 'int'], exit_code: [7, 'int'], reason: [10, 'string'] },
  UpdateContainerResourcesRequest: {
    container_id: [1, 'string'],
    linux: [2, 'LinuxContainerResources'],
  },
  ExecSyncRequest: { container_id: [1, 'string'], cmd: [2, ['string']], timeout: [3, 'int'] },
  ExecSyncResponse: { stdout: [1, 'string'], stderr: [2, 'string'], exit_code: [3, 'int'] },
  ContainerStatsRequest: { container_id: [1, 'string'] },
  ContainerStatsResponse: { stats: [1, 'ContainerStats'] },
  ContainerStats: { cpu: [2, 'CpuUsage'], memory: [3, 'MemoryUsage'] },
  CpuUsage: { usage_core_nano_seconds: [2, 'Int64Value'] },
  MemoryUsage: { working_set_bytes: [2, 'Int64Value'] },
};

function varint(number) {
  const bytes = [];
  for (let rest = BigInt.asUintN(64, BigInt(number)); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}

/** A message as its bytes: https://protobuf.dev/programming-guides/encoding. */
function encode(type, message) {
  return Buffer.concat(
    Object.entries(message).flatMap(([name, value]) => {
      const field = MESSAGES[type]?.[name];
      if (field === undefined) throw new Error(`${type} has no field ${name}`);
      const [number, kind] = field;
      const values = Array.isArray(kind) ? value : [value];
      return values.map((one) => encodeField(number, Array.isArray(kind) ? kind[0] : kind, one));
    }),
  );
}

function encodeField(number, kind, value) {
  if (kind === 'int' || kind === 'bool')
    return Buffer.concat([varint(number << 3), varint(Number(value))]);
  const bytes = kind === 'string' ? Buffer.from(value) : encode(kind, value);
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

/** The fields of a message that are known; others are passed over. */
function decode(type, bytes) {
  const fields = Object.entries(MESSAGES[type] ?? {});
  const message = {};
  let at = 0;
  const readVarint = () => {
    let number = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at];
      at += 1;
      number |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(BigInt.asIntN(64, number));
    }
  };
  const readPart = (length) => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  const read = {
    0: readVarint,
    1: () => readPart(8),
    2: () => readPart(readVarint()),
    5: () => readPart(4),
  };
  while (at < bytes.length) {
    const tag = readVarint();
    const value = read[tag & 7]();
    const [name, [, kind]] = fields.find(([, [number]]) => number === tag >> 3) ?? ['', []];
    if (kind === 'string') message[name] = value.toString();
    else if (kind !== undefined) message[name] = kind === 'int' ? value : decode(kind, value);
  }
  return message;
}

/** One gRPC call. @throws what the server says is wrong */
async function call(session, method, request) {
  const body = encode(`${method}Request`, request);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  const stream = session.request({
    ':method': 'POST',
    ':path': `/runtime.v1.RuntimeService/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let ended = {};
  for (const event of ['response', 'trailers'])
    stream.on(event, (headers) => {
      ended = { ...ended, ...headers };
    });
  stream.end(Buffer.concat([prefix, body]));
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  if (ended['grpc-status'] !== '0')
    throw new Error(decodeURIComponent(ended['grpc-message'] ?? ''));
  return decode(`${method}Response`, Buffer.concat(chunks).subarray(5));
}

const session = connectHttp2('http://localhost', { createConnection: () => connect(argv[2]) });
for await (const line of createInterface({ input: stdin })) {
  const space = line.indexOf(' ');
  try {
    const response = await call(session, line.slice(0, space), JSON.parse(line.slice(space)));
    console.log(JSON.stringify(response));
  } catch (error) {
    console.log(`error: ${error.message.replaceAll('\n', ' ')}`);
  }
}
session.close();
