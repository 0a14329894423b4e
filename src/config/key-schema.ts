import { dictionary, list, mapping, text, textLike, whole } from './fields.ts';

/** Of RFC 3339. */
const rfc3339 = String.raw`\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})`;

/** Whether a key is given in some way. */
function hasKey({
  key,
  key_file: file,
  sha256,
}: {
  key?: string | undefined;
  key_file?: string | undefined;
  sha256?: string | undefined;
}): boolean {
  return key !== undefined || file !== undefined || sha256 !== undefined;
}

/** The ways in which a key is given. */
export const keyShape = {
  key: text('a key').optional(),
  key_file: text('the path of a file with the key').optional(),
  sha256: textLike(/^[0-9A-Fa-f]{64}$/, 'the SHA-256 of a key, 64 hexadecimal digits').optional(),
};

const limitShape = {
  rpm: whole(1, 10_000_000).optional(),
  tpm: whole(1, 1_000_000_000).optional(),
  concurrency: whole(1, 1_000_000).optional(),
};

/** An entry of `gateway.keys`. */
export const keySchema = mapping(
  {
    name: textLike(/^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$/, 'a name of 1 to 64 letters, digits, blanks and . _ @ -'),
    ...keyShape,
    models: list(text('the name of a model'), 'a list of at least one model').optional(),
    limits: mapping({ ...limitShape, models: dictionary(mapping(limitShape)).optional() }).optional(),
    expires: textLike(new RegExp(`^${rfc3339}$`), 'a time such as 2027-01-31T00:00:00Z').optional(),
  },
  'a mapping with name and one of key, key_file and sha256',
).refine(hasKey, { error: 'expected one of key, key_file and sha256' });
