/** One option of the fake engine: how it is read from a config, a control request or a flag. */
export interface Setting<T> {
  readonly fallback: T;
  /** `start`: read once, while the process starts; `always`: may also be changed by `POST /fake/control`. */
  readonly takesEffect: 'start' | 'always';
  /** What a valid value looks like, for error messages. */
  readonly expected: string;
  /** How its command-line flag is written. */
  readonly flag: 'bare' | 'value';
  /** The value, or undefined where `raw` is not valid. */
  read(raw: unknown): T | undefined;
  /** The text of its flag; `read` accepts it again. */
  write(value: T): string;
}

type Moment = Setting<unknown>['takesEffect'];

export interface NumberRange {
  readonly min: number;
  readonly max: number;
  readonly whole?: boolean;
}

export function number(fallback: number, range: NumberRange, takesEffect: Moment = 'always'): Setting<number> {
  const noun = range.whole === true ? 'a whole number' : 'a number';
  return {
    fallback,
    takesEffect,
    expected: `${noun} from ${range.min} to ${range.max}`,
    flag: 'value',
    read: (raw) => readNumber(raw, range),
    write: String,
  };
}

function readNumber(raw: unknown, range: NumberRange): number | undefined {
  const value = typeof raw === 'string' && raw.trim() !== '' ? Number(raw) : raw;
  if (typeof value !== 'number' || !(value >= range.min && value <= range.max)) return undefined;
  return range.whole === true && !Number.isInteger(value) ? undefined : value;
}

export function flag(takesEffect: Moment = 'always'): Setting<boolean> {
  return {
    fallback: false,
    takesEffect,
    expected: 'true or false',
    flag: 'bare',
    read: (raw) => (typeof raw === 'boolean' ? raw : undefined),
    write: String,
  };
}

export function choice<const T extends string>(of: readonly [T, ...T[]], takesEffect: Moment = 'always'): Setting<T> {
  return {
    fallback: of[0],
    takesEffect,
    expected: `one of ${of.join(', ')}`,
    flag: 'value',
    read: (raw) => of.find((value) => value === raw),
    write: String,
  };
}

/** Text of any kind; with `pattern`, numbers are accepted too and read as their text. */
export function text(
  fallback: string,
  shape: { readonly expected: string; readonly pattern?: RegExp } = { expected: 'a string' },
  takesEffect: Moment = 'always',
): Setting<string> {
  const { pattern } = shape;
  return {
    fallback,
    takesEffect,
    expected: shape.expected,
    flag: 'value',
    read: (raw) => {
      const value = typeof raw === 'number' && pattern !== undefined ? String(raw) : raw;
      return typeof value === 'string' && (pattern === undefined || pattern.test(value)) ? value : undefined;
    },
    write: String,
  };
}

/** A list; one value alone is a list of one. As a flag it is a JSON array. */
export function list<T>(of: Setting<T>): Setting<readonly T[]> {
  return {
    fallback: [],
    takesEffect: of.takesEffect,
    expected: `a list, each ${of.expected}`,
    flag: 'value',
    read: (raw) => {
      const values = elementsOf(raw).map((element) => of.read(element));
      return values.every((value) => value !== undefined) ? values : undefined;
    },
    write: (values) => JSON.stringify(values),
  };
}

function elementsOf(raw: unknown): readonly unknown[] {
  if (Array.isArray(raw)) return raw;
  if (typeof raw !== 'string' || !raw.startsWith('[')) return [raw];
  try {
    const parsed: unknown = JSON.parse(raw);
    return Array.isArray(parsed) ? parsed : [raw];
  } catch {
    // Not JSON after all: a log line may begin with a bracket.
    return [raw];
  }
}
