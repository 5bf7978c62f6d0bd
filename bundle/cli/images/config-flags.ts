import type { Flag } from '../command.ts';
import { FORMAT } from '../format.ts';
import { REMARKS } from '../make-options.ts';
import { PLATFORM } from '../transfer/options.ts';

const list = (name: string, value: string, about: string): Flag => ({
  name,
  value,
  about: `${about}; may be given several times`,
  repeated: true,
});

/** What can be edited of an image. */
export const CONFIG_FLAGS: readonly Flag[] = [
  {
    name: 'tag',
    value: 'NAME',
    about: "the new image's name; by default it takes the one of the old image",
  },
  list(
    'clear',
    'FIELD',
    'first empty annotation, cmd, entrypoint, env, expose, label, stop-signal, user, volume or workdir',
  ),
  list('cmd', 'WORD', 'a word of the command line; all of them replace what is there'),
  list('entrypoint', 'WORD', 'a word of the entrypoint; all of them replace what is there'),
  list('env', 'NAME=VALUE', 'set a variable'),
  list('expose', 'PORT[/PROTOCOL]', 'add a port'),
  list('label', 'NAME=VALUE', 'set a label'),
  list('volume', 'PATH', 'add a volume'),
  { name: 'user', value: 'USER[:GROUP]', about: 'who runs the program' },
  { name: 'workdir', value: 'PATH', about: 'where the program begins' },
  { name: 'stop-signal', value: 'SIGNAL', about: 'the signal that ends the program' },
  list('annotation', 'NAME=VALUE', "set an annotation of the image's manifest"),
  { name: 'created', value: 'TIME', about: 'when it was made (RFC 3339); now by default' },
  { name: 'os', value: 'OS', about: 'the operating system that it is said to be for' },
  { name: 'architecture', value: 'ARCH', about: 'the processor that it is said to be for' },
  { name: 'variant', value: 'VARIANT', about: "the processor's variant" },
  PLATFORM,
  ...REMARKS,
  { name: 'history', about: 'add a line to the history; on by default (--no-history)' },
  {
    name: 'origin',
    about: "change nothing, but tell of each value of a bundle's config.json where it comes from",
  },
  FORMAT,
];
