/**
 * Makes the manual pages of the table of commands, for the build: build/man/scow.8,
 * scow-COMMAND.8, scow-bundle.1 and scow-bundle-COMMAND.1, in the macros of man(7).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The day of the build, in seconds since 1970 where a packager says it. */
const EPOCH = process.env.SOURCE_DATE_EPOCH;
const DATE = new Date(EPOCH === undefined ? Date.now() : Number(EPOCH) * 1000)
  .toISOString()
  .slice(0, 10);

/**
 * Writes all pages.
 *
 * @param dist directory of the compiled sources
 * @param out directory for the pages; it exists
 */
export async function writeManuals(dist, out) {
  const load = (path) => import(join(dist, path));
  const { COMMANDS, GLOBAL_FLAGS, HELP_FLAG } = await load('runtime/cli/table.js');
  const { MANUAL, OVERVIEW } = await load('runtime/cli/manual.js');
  const { VERSION } = await load('schemas/version.js');
  const bundler = await load('bundle/cli/table.js');

  const runtime = { name: 'scow', section: 8, version: VERSION };
  const commands = COMMANDS.map((command) => ({ ...command, ...MANUAL[command.name] }));
  const pages = [
    overviewPage(runtime, {
      ...OVERVIEW,
      about: 'run OCI containers',
      flags: GLOBAL_FLAGS,
      commands,
      also: ['scow-bundle(1)', 'runc(8)', 'crun(1)'],
    }),
    ...commands.map((command) => commandPage(runtime, command, HELP_FLAG)),
  ];
  const bundle = { name: 'scow-bundle', section: 1, version: VERSION };
  pages.push(
    overviewPage(bundle, {
      about: 'make bundles of OCI images',
      description: [
        'A bundle is what an OCI runtime such as *scow*(8) runs: a root filesystem and its configuration.',
      ],
      flags: bundler.GLOBAL_FLAGS,
      commands: bundler.COMMANDS,
      also: ['scow(8)'],
    }),
    ...bundler.COMMANDS.map((command) => commandPage(bundle, command, HELP_FLAG)),
  );
  for (const { file, text } of pages) writeFileSync(join(out, file), text);
}

function overviewPage(program, { about, description, flags, commands, also, ...rest }) {
  const { name, section } = program;
  const { statuses = [], environment = [], files = [] } = rest;
  const pages = commands.map((command) => `${name}-${command.name}(${section})`);
  const words = [flags.length > 0 && '[_global flags_]', '_command_', '[_flags_]', '[_arguments_]'];
  return page(program, name, about, [
    ['SYNOPSIS', [`*${name}* ${words.filter(Boolean).join(' ')}`]],
    ['DESCRIPTION', description],
    ['GLOBAL OPTIONS', flagList(flags)],
    ['COMMANDS', commands.map((command) => [`*${command.name}*`, sentence(command.about)])],
    ['EXIT STATUS', statuses.map(([key, text]) => [`*${key}*`, text])],
    ['ENVIRONMENT', environment.map(([key, text]) => [`*${key}*`, text])],
    ['FILES', files.map(([key, text]) => [`_${key}_`, text])],
    ['SEE ALSO', [references([...pages, ...also])]],
  ]);
}

function commandPage(program, command, help) {
  const { name, section } = program;
  const { about, positionals, flags, description = [], examples = [] } = command;
  const words = positionals.map((positional) => {
    const word = `_${positional.name}_${positional.many ? ' ...' : ''}`;
    return positional.optional ? `[${word}]` : word;
  });
  const own = positionals.map((positional) => [`_${positional.name}_`, valueText(positional)]);
  return page(program, `${name}-${command.name}`, about, [
    ['SYNOPSIS', [`*${name} ${command.name}* [_flags_] ${words.join(' ')}`.trim()]],
    ['DESCRIPTION', [`${sentence(about)}`, ...description]],
    ['ARGUMENTS', own],
    ['OPTIONS', flagList([...flags, help])],
    ['EXAMPLES', examples.map((line) => ({ example: line }))],
    ['SEE ALSO', [references([`${name}(${section})`])]],
  ]);
}

function flagList(flags) {
  return flags
    .filter(({ hidden }) => !hidden)
    .map((flag) => {
      const names = [flag.short && `-${flag.short}`, `--${flag.name}`].filter(Boolean);
      const value = flag.value === undefined ? '' : ` _${flag.value}_`;
      return [`*${names.join('*, *')}*${value}`, valueText(flag)];
    });
}

function valueText({ about, choices, default: usual, required }) {
  const notes = [
    choices && `One of ${choices.join(', ')}.`,
    usual !== undefined && `The default is *${usual}*.`,
    required && 'It must be given.',
  ];
  return [sentence(about), ...notes.filter(Boolean)].join(' ');
}

function page({ section, version }, name, about, sections) {
  const lines = [
    `.TH ${name.toUpperCase().replaceAll('-', '\\-')} ${section} ${DATE} "scow ${version}" "scow manual"`,
    '.SH NAME',
    `${plain(name)} \\- ${plain(about)}`,
  ];
  for (const [title, items] of sections) {
    if (items.length === 0) continue;
    lines.push(`.SH ${title}`);
    for (const [i, item] of items.entries()) lines.push(...block(item, i));
  }
  return { file: `${name}.${section}`, text: `${lines.join('\n')}\n` };
}

/** A paragraph, an example, or a term with what it means. */
function block(item, i) {
  if (Array.isArray(item)) return ['.TP', line(item[0]), line(item[1])];
  const text =
    item.example === undefined ? [line(item)] : ['.EX', `    ${plain(item.example)}`, '.EE'];
  return i === 0 ? text : ['.PP', ...text];
}

function line(text) {
  return marked(text).replace(/^(?=['.])/, '\\&');
}

/** Bold between asterisks, italic between underscores. */
function marked(text) {
  return plain(text)
    .replace(/\*([^*]+)\*/g, '\\fB$1\\fR')
    .replace(/(?<![\w])_([^_]+)_(?![\w])/g, '\\fI$1\\fR');
}

function plain(text) {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('’', '\\(cq');
}

function references(pages) {
  return pages.map((name) => `*${name.replace('(', '*(')}`).join(', ');
}

function sentence(text) {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(capital) ? capital : `${capital}.`;
}
