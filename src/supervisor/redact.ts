/** What stands in the place of a secret. */
export const redacted = '[redacted]';

/** Shorter ones are no secrets, and would blank out half of every line. */
const shortestSecret = 6;
/** A word of a variable's name that says that its value is a secret: `HF_TOKEN`, but not `TOKENIZERS_PARALLELISM`. */
const secretWord = /(?:^|_)(?:TOKEN|KEY|APIKEY|SECRET|PASSWORD|PASSWD|PWD|CREDENTIALS?|AUTH|COOKIE|DSN)S?(?:_|$)/i;
/** A variable whose name has such a word and whose value is no secret. */
const harmlessValue = /^(?:true|false|none|null|\d+|\/.*)$/i;

/** The values of an environment that must not be shown, by the names that carry them. */
export function secretsOf(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  return Object.entries(env).flatMap(([name, value]) =>
    secretWord.test(name) && value !== undefined && value.length >= shortestSecret && !harmlessValue.test(value) ? [value] : [],
  );
}

/**
 * A command line as it may be shown: without the values of an environment that are secrets, what has the form of one, and what follows an
 * option whose name says so (`--hf-token`).
 */
export function redactedArguments(args: readonly string[], env: Readonly<Record<string, string>>): readonly string[] {
  const redact = redactor(secretsOf(env));
  const names = args.map((arg) => arg.replace(/^--?/, '').replaceAll('-', '_'));
  return args.map((arg, at) => {
    const option = args[at - 1]?.startsWith('-') === true ? (names[at - 1] ?? '') : '';
    return secretsOf({ [option]: arg }).length > 0 && !arg.startsWith('-') ? redacted : redact(arg);
  });
}

type Rule = readonly [pattern: RegExp, replacement: string];

/** Secrets by their form, whoever they belong to. Each pattern is linear: lines are up to 64 KB, and an engine writes what it likes. */
const rules: readonly Rule[] = [
  // Keys that say what they are: Hugging Face, OpenAI and its kind, GitHub, AWS, Slack, and JSON Web Tokens.
  [
    /\b(?:hf_[A-Za-z0-9]{16,}|sk-[\w-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|(?:AKIA|ASIA)[A-Z0-9]{16}|xox[abprs]-[\w-]{10,})/g,
    redacted,
  ],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, redacted],
  // Header lines, and the same as a member of a dumped object.
  [/\b((?:proxy-)?authorization|x-api-key|api-key|set-cookie|cookie)(["']?\s{0,4}[:=]\s{0,4}["']?)[^"'\r\n]+/gi, `$1$2${redacted}`],
  [/\b(Bearer|Basic)(\s{1,4})[\w.~+/=-]{8,}/gi, `$1$2${redacted}`],
  // Addresses: user and password, and what signs one or opens it.
  [/(:\/\/)[^\s/@:'"]{1,256}:[^\s/@'"]{1,1024}@/g, `$1${redacted}@`],
  [
    /([?&](?:X-Amz-(?:Signature|Credential|Security-Token)|X-Goog-(?:Signature|Credential)|Signature|Policy|Key-Pair-Id|AWSAccessKeyId|sig|token|access_token|auth|api_?key|key|password|secret)=)[^&\s"'<>]+/gi,
    `$1${redacted}`,
  ],
  // Settings: NAME_TOKEN=…, "api_key": "…", api_key=['…'].
  [
    /\b((?:[A-Za-z0-9]{1,40}_){0,6}(?:api_?key|access_key|secret_key|secret|password|passwd|(?:hf|access|auth|hub|bearer|session|api|refresh)_token))(["']?\s{0,4}[:=]\s{0,4}(?!\[redacted)[[({]?["']?)(?!None\b|null\b|true\b|false\b|\[redacted)[^\s"',;)\]}]{6,}/gi,
    `$1$2${redacted}`,
  ],
];

/** One that none of the rules can change: most lines of a log. */
const plain = /[:=]|hf_|sk-|gh[pousr]_|github_pat_|AKIA|ASIA|xox|eyJ|bearer|basic/i;

function literally(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`);
}

/**
 * Takes secrets out of text that an engine wrote, before anyone is shown it: those given, wherever they stand, and whatever has the form of
 * one. The engine's log file itself stays as it was written; it is its owner's alone (0600).
 */
export function redactor(secrets: readonly string[]): (text: string) => string {
  const known = [...new Set(secrets)].filter((secret) => secret.length >= shortestSecret).sort((a, b) => b.length - a.length);
  const values = known.length === 0 ? undefined : new RegExp(known.map(literally).join('|'), 'g');
  return (text) => {
    const without = values === undefined ? text : text.replaceAll(values, redacted);
    if (!plain.test(without)) return without;
    return rules.reduce((shown, [pattern, replacement]) => shown.replaceAll(pattern, replacement), without);
  };
}
