/**
 * The types of the OCI image specification 1.1: descriptor.md, manifest.md, image-index.md,
 * config.md and image-layout.md. Property names are the specification's own.
 */

/** `sha256:<64 hex digits>`, or another algorithm and its encoding. */
export type Digest = `${string}:${string}`;

/** By keys in reverse domain notation (image-spec, annotations.md). */
export type Annotations = Readonly<Record<string, string>>;

/** A reference to content: what it is, its digest and its size. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes of the content as stored. */
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Annotations;
  /** The content itself in base64, where it's small. */
  readonly data?: string;
  readonly artifactType?: string;
  readonly platform?: Platform;
}

/** What an image runs on; the names are Go's (GOOS, GOARCH). */
export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
}

/** `application/vnd.oci.image.manifest.v1+json`. */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  /** From the base upwards. */
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Annotations;
}

/** `application/vnd.oci.image.index.v1+json`. */
export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Annotations;
}

/** `application/vnd.oci.image.config.v1+json`. */
export interface ImageConfig extends Platform {
  /** RFC 3339. */
  readonly created?: string;
  readonly author?: string;
  readonly config?: ImageExecution | null;
  readonly rootfs: ImageRootfs;
  readonly history?: readonly ImageHistory[] | null;
}

/**
 * What a container made from the image runs. Builders that encode Go's empty maps and lists as
 * `null` are common, so `null` is allowed where a map or a list is, and means the same as absence.
 */
export interface ImageExecution {
  /** `user`, `uid`, `user:group`, `uid:gid`, `uid:group` or `user:gid`. */
  readonly User?: string;
  /** Keys such as `80/tcp`. */
  readonly ExposedPorts?: Readonly<Record<string, object>> | null;
  readonly Env?: readonly string[] | null;
  readonly Entrypoint?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Volumes?: Readonly<Record<string, object>> | null;
  readonly WorkingDir?: string;
  readonly Labels?: Annotations | null;
  readonly StopSignal?: string;
  readonly ArgsEscaped?: boolean;
}

/** The layers that a configuration is for (image-spec, config.md: rootfs). */
export interface ImageRootfs {
  readonly type: 'layers';
  /** Digests of the uncompressed layers, from the base upwards. */
  readonly diff_ids: readonly Digest[];
}

/** A step by which an image was made (image-spec, config.md: history). */
export interface ImageHistory {
  readonly created?: string;
  readonly author?: string;
  readonly created_by?: string;
  readonly comment?: string;
  /** True where no layer belongs to this entry. */
  readonly empty_layer?: boolean;
}
